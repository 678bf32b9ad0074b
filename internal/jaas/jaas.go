// Package jaas reads JAAS login configuration files, the form in which ZooKeeper keeps SASL credentials: named
// sections, each a list of login modules with a control flag and options. The grammar is that of Java's default
// implementation (javax.security.auth.login.Configuration), with two differences: ${property} in a value stands for
// itself, and numbers need no quotes.
package jaas

import "strings"

// DigestLoginModule is the class, in any package, whose options hold user names and passwords for DIGEST-MD5.
const DigestLoginModule = "DigestLoginModule"

// File is a parsed file: its sections by name.
type File map[string]Section

// Section is what an application finds under its name.
type Section []Module

// Module is one login module of a section.
type Module struct {
	Class   string            // fully qualified
	Flag    string            // required, requisite, sufficient or optional
	Options map[string]string // the last of equal names
	Line    int               // on which Class stands, from 1
}

// Digest returns the section's first DigestLoginModule.
func (s Section) Digest() (Module, bool) {
	for _, m := range s {
		if m.Class[strings.LastIndexByte(m.Class, '.')+1:] == DigestLoginModule {
			return m, true
		}
	}
	return Module{}, false
}

// Users returns the credentials that a server's DigestLoginModule defines: each option user_NAME="PASSWORD" a user.
func (m Module) Users() map[string]string {
	const prefix = "user_"
	users := make(map[string]string)
	for name, value := range m.Options {
		if user, ok := strings.CutPrefix(name, prefix); ok {
			users[user] = value
		}
	}
	return users
}
