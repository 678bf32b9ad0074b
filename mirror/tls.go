package mirror

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLS names the files, in PEM, that a copy needs at an etcd that speaks TLS. They mean what etcdctl's flags --cacert, --cert and --key do.
type TLS struct {
	// CACert has the authorities of servers' certificates. If it is empty they are those that the system trusts.
	CACert string
	// Cert has the certificate that is shown to servers that want one, and those between it and the authority's. It may be empty.
	Cert string
	Key  string // Cert's private key
}

// config reads the files.
func (o *TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CACert != "" {
		text, err := os.ReadFile(o.CACert)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: there is no certificate in it", o.CACert)
		}
	}
	if (o.Cert == "") != (o.Key == "") {
		return nil, errors.New("a certificate and its private key go together")
	}
	if o.Cert == "" {
		return c, nil
	}
	if _, err := o.certificate(nil); err != nil {
		return nil, err
	}
	c.GetClientCertificate = o.certificate
	return c, nil
}

// certificate reads the certificate anew for every connection: who follows for months may outlive one.
func (o *TLS) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %w", o.Cert, o.Key, err)
	}
	return &pair, nil
}
