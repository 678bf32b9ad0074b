package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"zebu/mirror"
	"zebu/proto"
)

// tlsFlags are for one end: two clusters have certificates of different authorities, as a rule.
func tlsFlags(cmd *cobra.Command, side, end string, t *mirror.TLS) {
	flags := cmd.Flags()
	flags.StringVar(&t.CACert, side+"-cacert", "", "if the "+end+" is etcds://, FILE with the authorities of its certificate; the system's if not given")
	flags.StringVar(&t.Cert, side+"-cert", "", "FILE with the certificate to show there, if one is wanted")
	flags.StringVar(&t.Key, side+"-key", "", "FILE with the private key of that certificate")
}

// identify reads who the user is at an end. Of etcd that is a part of the location.
func identify(side string, l *mirror.Location, auths []string, t mirror.TLS) ([]mirror.Auth, error) {
	switch {
	case l.TLS != nil:
		l.TLS = &t
	case t != mirror.TLS{}:
		return nil, fmt.Errorf("--%s-cacert, --%s-cert and --%s-key go with etcds://, not with %v", side, side, side, l)
	}
	if !l.Etcd {
		return parseAuths(auths)
	}
	for _, a := range auths {
		text, err := fromFile(a)
		if err != nil {
			return nil, err
		}
		if l.User != "" {
			return nil, fmt.Errorf("--%s-auth: etcd takes one user", side)
		}
		var ok bool
		if l.User, l.Password, ok = strings.Cut(text, ":"); !ok || l.User == "" || l.Password == "" {
			return nil, fmt.Errorf("--%s-auth: an identity at etcd is USER:PASSWORD", side)
		}
	}
	return nil, nil
}

// parseAuths reads scheme:credentials.
func parseAuths(args []string) (auths []mirror.Auth, err error) {
	for _, a := range args {
		if a, err = fromFile(a); err != nil {
			return nil, err
		}
		scheme, credentials, ok := strings.Cut(a, ":")
		if !ok || scheme == "" {
			return nil, errors.New("an identity is SCHEME:CREDENTIALS, such as digest:user:password")
		}
		auths = append(auths, mirror.Auth{Scheme: scheme, Credentials: credentials})
	}
	return auths, nil
}

// fromFile returns what is in the file if the argument is @file: other users of the machine do not see that.
func fromFile(arg string) (string, error) {
	file, ok := strings.CutPrefix(arg, "@")
	if !ok {
		return arg, nil
	}
	text, err := os.ReadFile(file)
	return strings.TrimSpace(string(text)), err
}

// copyHint says what to do about a node that could not be copied.
func copyHint(err error) string {
	switch {
	case errors.Is(err, proto.ErrNoAuth), errors.Is(err, rpctypes.ErrPermissionDenied):
		return " (--src-auth and --dst-auth say who you are)"
	case errors.Is(err, proto.ErrInvalidACL):
		return " (that cluster does not know the scheme: --acl=open or --acl=skip)"
	}
	return ""
}

// endHint says what to do about an end that could not be opened.
func endHint(err *mirror.EndError) string {
	side := "src"
	if err.Destination {
		side = "dst"
	}
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.As(err, &authority):
		return fmt.Sprintf(" (--%s-cacert FILE names the authorities of the server's certificate)", side)
	case errors.As(err, &name):
		return " (write the server's name as its certificate has it)"
	case errors.Is(err, mirror.ErrRefused):
		return fmt.Sprintf(" (--%s-cert FILE and --%s-key FILE are the certificate that is shown; the server must know its authority)", side, side)
	case errors.Is(err, rpctypes.ErrUserEmpty), errors.Is(err, rpctypes.ErrAuthFailed), errors.Is(err, rpctypes.ErrPermissionDenied):
		return fmt.Sprintf(" (--%s-auth USER:PASSWORD, or @FILE, says who you are)", side)
	}
	return ""
}
