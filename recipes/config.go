package recipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ConfigOptions are those of a [Config]. The zero value will do.
type ConfigOptions struct {
	// File keeps the last good settings, for a start without servers; "" keeps none.
	File string
	// Check refuses settings: those before stay in effect. Keys are paths under the root without a leading slash.
	Check func(settings map[string]string) error
	// OnChange is called with the keys that have changed, in order, after they have taken effect; not for the first settings.
	OnChange func(changed []string)
	// OnError is called with what is wrong: settings refused by Check, a File that cannot be written.
	OnError func(error)
	// Settle is how long to wait for more changes before they are looked at, so that changes made together take effect together; 0
	// is 50 ms.
	Settle time.Duration
}

// Config is a tree of settings: a node's data is the value of the key that is its path. Nodes with no data that have
// children are no settings.
//
// Guaranteed: what is read is always settings that Check has accepted, of which each setting was in force at some time; changed
// settings take effect soon. Several settings that change together in one transaction may be seen one after the other, unless they come within
// Settle. While no server can be reached, and over restarts if there is a File, the last good settings stay in effect.
type Config struct {
	o    ConfigOptions
	root string
	now  atomic.Pointer[map[string]string]
	tree *TreeCache
	kick chan struct{}
	stop context.CancelFunc
	done chan struct{}
	once sync.Once
}

// OpenConfig reads the settings under a root and keeps them up to date. If the context ends before a server has answered, and there is a
// File, the settings are those of the file until a server answers; without a file the context's error is returned. Settings that Check refuses at
// the first time are an error too, unless there is a file with better ones.
func OpenConfig(ctx context.Context, c *Client, root string, o ConfigOptions) (*Config, error) {
	if o.Settle == 0 {
		o.Settle = 50 * time.Millisecond
	}
	k := &Config{o: o, root: path.Clean(root), kick: make(chan struct{}, 1), done: make(chan struct{})}
	k.tree = NewTreeCache(c, k.root, func(Change) { k.poke() })
	err := k.tree.Ready(ctx)
	if err == nil {
		err = k.apply()
	}
	if err != nil {
		if fileErr := k.load(); fileErr != nil {
			k.tree.Close()
			return nil, fmt.Errorf("settings %s: %w", root, errors.Join(err, fileErr))
		}
		k.fail(fmt.Errorf("settings %s are those of %s: %w", root, o.File, err))
	}
	running, stop := context.WithCancel(context.Background())
	k.stop = stop
	if !c.spawn(func() {
		defer close(k.done)
		k.run(running, c)
	}) {
		close(k.done)
	}
	return k, nil
}

func (k *Config) poke() {
	select {
	case k.kick <- struct{}{}:
	default:
	}
}

func (k *Config) fail(err error) {
	if k.o.OnError != nil {
		k.o.OnError(err)
	}
}

// run puts changes into effect.
func (k *Config) run(ctx context.Context, c *Client) {
	if k.tree.Ready(ctx) == nil {
		k.poke() // what came between the first reading and now
	}
	for {
		if c.await(ctx, k.kick) != nil {
			return
		}
		timer := time.NewTimer(k.o.Settle)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		select { // what came meanwhile is looked at now
		case <-k.kick:
		default:
		}
		if err := k.apply(); err != nil {
			k.fail(fmt.Errorf("settings %s: %w", k.root, err))
		}
	}
}

// apply puts what the tree says into effect, if it is good.
func (k *Config) apply() error {
	next, parents := map[string]string{}, map[string]bool{}
	nodes := k.tree.Nodes()
	for _, n := range nodes {
		parents[path.Dir(n.Path)] = true
	}
	for _, n := range nodes {
		if n.Path != k.root && (len(n.Data) > 0 || !parents[n.Path]) {
			next[strings.TrimPrefix(n.Path[len(k.root):], "/")] = string(n.Data)
		}
	}
	last := k.now.Load()
	if last != nil && maps.Equal(*last, next) {
		return nil
	}
	if k.o.Check != nil {
		if err := k.o.Check(maps.Clone(next)); err != nil {
			return fmt.Errorf("refused: %w", err)
		}
	}
	k.now.Store(&next)
	if err := k.save(next); err != nil {
		k.fail(err)
	}
	if last != nil && k.o.OnChange != nil {
		changed := map[string]bool{}
		for _, m := range []map[string]string{*last, next} {
			for key := range m {
				was, before := (*last)[key]
				is, after := next[key]
				if before != after || was != is {
					changed[key] = true
				}
			}
		}
		k.o.OnChange(slices.Sorted(maps.Keys(changed)))
	}
	return nil
}

// load takes the settings of the file.
func (k *Config) load() error {
	if k.o.File == "" {
		return errors.New("no file with earlier settings")
	}
	b, err := os.ReadFile(k.o.File)
	if err != nil {
		return err
	}
	var settings map[string]string
	if err := json.Unmarshal(b, &settings); err != nil {
		return fmt.Errorf("%s: %w", k.o.File, err)
	}
	if k.o.Check != nil {
		if err := k.o.Check(maps.Clone(settings)); err != nil {
			return fmt.Errorf("%s: refused: %w", k.o.File, err)
		}
	}
	k.now.Store(&settings)
	return nil
}

// save replaces the file as a whole: a crash leaves the old one or the new one.
func (k *Config) save(settings map[string]string) error {
	if k.o.File == "" {
		return nil
	}
	b, err := json.MarshalIndent(settings, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(k.o.File), filepath.Base(k.o.File)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone after the renaming
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), k.o.File)
	}
	return err
}

// Close ends the keeping; the settings can still be read.
func (k *Config) Close() {
	k.once.Do(func() {
		k.stop()
		<-k.done
		k.tree.Close()
	})
}

// All returns all settings. They are not to be changed.
func (k *Config) All() map[string]string { return *k.now.Load() }

// Lookup returns a setting, if there is one.
func (k *Config) Lookup(key string) (string, bool) {
	v, ok := k.All()[key]
	return v, ok
}

// Value is a type that a setting can have.
type Value interface {
	string | bool | int | int64 | uint64 | float64 | time.Duration
}

// Setting returns a setting as a value of a type, or another if there is none or it is no such value: Check is the place to refuse that. A
// duration is written as time.ParseDuration reads it.
func Setting[T Value](k *Config, key string, otherwise T) T {
	text, ok := k.Lookup(key)
	if !ok {
		return otherwise
	}
	v, err := ParseSetting[T](text)
	if err != nil {
		return otherwise
	}
	return v
}

// ParseSetting reads a value of a type.
func ParseSetting[T Value](text string) (T, error) {
	var v any
	var err error
	var zero T
	switch any(zero).(type) {
	case string:
		v = text
	case bool:
		v, err = strconv.ParseBool(text)
	case int:
		v, err = strconv.Atoi(text)
	case int64:
		v, err = strconv.ParseInt(text, 10, 64)
	case uint64:
		v, err = strconv.ParseUint(text, 10, 64)
	case float64:
		v, err = strconv.ParseFloat(text, 64)
	case time.Duration:
		v, err = time.ParseDuration(text)
	}
	if err != nil {
		return zero, err
	}
	return v.(T), nil
}

// JSON decodes a setting into v. There being none is an error.
func (k *Config) JSON(key string, v any) error {
	text, ok := k.Lookup(key)
	if !ok {
		return fmt.Errorf("setting %s: not there", key)
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("setting %s: %w", key, err)
	}
	return nil
}
