package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"zebu/proto"
	"zebu/quorum"
)

// What is appended to the name of zoo.cfg.
const (
	backupSuffix  = ".bak"
	dynamicSuffix = ".dynamic."
	nextSuffix    = dynamicSuffix + "next"
)

// DynamicFiles are the files in which a server keeps its ensemble's configurations from one start to the next (spec
// 11.2), under ZooKeeper's names and in its form: zoo.cfg, which names the file of the configuration in force,
// zoo.cfg.dynamic.<version in hexadecimal>, and zoo.cfg.dynamic.next, the newest one proposed. They are for servers with
// reconfigEnabled=true; others keep nothing.
//
// Every file is replaced as a whole: after a crash it is the old or the new one.
type DynamicFiles struct {
	// Static is the path of zoo.cfg. Without one nothing is kept.
	Static string
	// ID is this server.
	ID proto.ServerID
}

// DynamicFiles returns where the server that c describes keeps configurations.
func (c *Config) DynamicFiles() DynamicFiles {
	return DynamicFiles{Static: c.File, ID: c.Quorum.ServerID}
}

// SaveSeen makes the newest configuration proposed durable; text is [quorum.Config.String]'s. The next start finds it
// in [Quorum.LastSeen].
func (d DynamicFiles) SaveSeen(text []byte) error {
	if d.Static == "" {
		return nil
	}
	c, err := quorum.ParseConfig(string(text))
	if err != nil {
		return fmt.Errorf("keep a proposed configuration: %w", err)
	}
	if err := replaceFile(d.Static+nextSuffix, memberLines(c, true), 0o644); err != nil {
		return fmt.Errorf("keep proposed configuration %x: %w", int64(c.Version), err)
	}
	return nil
}

// Activate makes a configuration the one that the next start begins with: one that was committed, and is newer than the
// one in force. It writes zoo.cfg.dynamic.<version> and then edits zoo.cfg to name it; zoo.cfg.dynamic.next goes last,
// unless it is newer still. Older dynamic files stay, as with ZooKeeper.
//
// Of zoo.cfg the lines go that the dynamic file replaces: server.N, group.G, weight.N, peerType, and clientPort and
// clientPortAddress if this server's line has a client address. All others stay as they are, comments included, where
// ZooKeeper writes the file anew. A zoo.cfg that did hold the ensemble's lines is copied to zoo.cfg.bak first.
func (d DynamicFiles) Activate(c *quorum.Config) error {
	if d.Static == "" {
		return nil
	}
	err := d.activate(c)
	if err != nil {
		return fmt.Errorf("keep configuration %x: %w", int64(c.Version), err)
	}
	return nil
}

func (d DynamicFiles) activate(c *quorum.Config) error {
	path := d.Static + dynamicSuffix + strconv.FormatInt(int64(c.Version), 16)
	if err := replaceFile(path, memberLines(c, false), 0o644); err != nil {
		return err
	}
	if err := d.edit(c, path); err != nil {
		return err
	}
	return d.forgetSeen(c.Version)
}

// edit makes zoo.cfg name the dynamic file.
func (d DynamicFiles) edit(c *quorum.Config, dynamic string) error {
	info, err := os.Stat(d.Static)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(d.Static)
	if err != nil {
		return err
	}
	props, faults := parseProperties(text)
	if len(faults) > 0 {
		return fmt.Errorf("%s:%d: %w", d.Static, faults[0].line, faults[0].err)
	}
	if dynamic, err = canonical(dynamic); err != nil {
		return err
	}
	if !slices.ContainsFunc(props, func(p property) bool { return strings.TrimSpace(p.key) == "dynamicConfigFile" }) {
		if err := replaceFile(d.Static+backupSuffix, text, info.Mode().Perm()); err != nil {
			return err
		}
	}
	me := c.Member(d.ID)
	edited := editStatic(text, props, me != nil && me.Client != (proto.HostPort{}), dynamic)
	return replaceFile(d.Static, edited, info.Mode().Perm())
}

// canonical returns a path that means the same wherever the server is started.
func canonical(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// editStatic returns the text of a zoo.cfg without what the dynamic file replaces, and with that file's path.
func editStatic(text []byte, props []property, noClientPort bool, dynamic string) []byte {
	var b bytes.Buffer
	from := 0
	for _, p := range props {
		key := strings.TrimSpace(p.key)
		client := key == "clientPort" || key == "clientPortAddress"
		if !isMember(key) && key != "dynamicConfigFile" && key != "peerType" && (!client || !noClientPort) {
			continue
		}
		b.Write(bytes.TrimRight(text[from:p.from], " \t\f"))
		from = p.to
		if from < len(text) {
			r := lineReader{text: text, pos: from}
			r.lineEnd()
			from = r.pos
		}
	}
	b.Write(text[from:])
	kept := b.Bytes()
	if len(kept) > 0 && kept[len(kept)-1] != '\n' {
		b.WriteByte('\n')
	}
	if bytes.HasSuffix(bytes.TrimRight(kept, "\r\n"), []byte{'\\'}) {
		b.WriteByte('\n') // else that line would be continued
	}
	b.WriteString("dynamicConfigFile=" + escapeValue(dynamic) + "\n")
	return b.Bytes()
}

// forgetSeen removes the proposed configuration that has come into force.
func (d DynamicFiles) forgetSeen(committed proto.Zxid) error {
	path := d.Static + nextSuffix
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	props, _ := parseProperties(text)
	for _, p := range props {
		if v, err := strconv.ParseInt(p.value, 16, 64); p.key == "version" && err == nil && proto.Zxid(v) > committed {
			return nil
		}
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// memberLines returns the content of a dynamic file: the configuration's lines as ZooKeeper sorts them, without a newline
// at the end.
func memberLines(c *quorum.Config, version bool) []byte {
	lines := strings.Split(c.String(), "\n")
	if !version {
		lines = lines[:len(lines)-1]
	}
	for i, line := range lines {
		key, value, _ := strings.Cut(line, "=")
		lines[i] = key + "=" + escapeValue(value)
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, "\n"))
}

// escapeValue writes a value so that a properties file yields it again.
func escapeValue(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\\' || r == ' ' && i == 0:
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r > '~':
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// replaceFile puts a file in the place of another, durably.
func replaceFile(path string, content []byte, perm fs.FileMode) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(perm) // whatever the umask says, and a file that was left over
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the entries of a directory durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
