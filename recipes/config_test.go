package recipes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	ctx, root := within(t), fresh(t)
	c := client(t)
	for key, v := range map[string]string{"/db/pool": "5", "/db/timeout": "250ms", "/on": "true", "/empty": ""} {
		ok(t, c.ensure(ctx, root+key))
		must(c.set(ctx, root+key, []byte(v), -1))(t)
	}
	changed, failures := make(chan []string, 10), make(chan error, 10)
	f := newFaults(-1, unsent)
	o := ConfigOptions{
		File: filepath.Join(t.TempDir(), "settings.json"),
		Check: func(m map[string]string) error {
			_, err := ParseSetting[int](m["db/pool"])
			return err
		},
		OnChange: func(keys []string) { changed <- keys },
		OnError:  func(err error) { failures <- err },
		Settle:   time.Millisecond,
	}
	k := must(OpenConfig(ctx, faultyClient(t, f), root, o))(t)
	if n, d, on := Setting(k, "db/pool", 0), Setting(k, "db/timeout", time.Second), Setting(k, "on", false); n != 5 || d != 250*time.Millisecond || !on {
		t.Errorf("%d %v %v", n, d, on)
	}
	if v, there := k.Lookup("empty"); !there || v != "" {
		t.Error("a setting that is empty is left out")
	}
	if _, there := k.Lookup("db"); there {
		t.Error("a node with children and no data is a setting")
	}
	if v := Setting(k, "none", 7.5); v != 7.5 {
		t.Errorf("%v", v)
	}
	f.expire(t)
	must(c.set(ctx, root+"/db/pool", []byte("6"), -1))(t)
	if keys := until(t, changed, "a change"); !slices.Equal(keys, []string{"db/pool"}) || Setting(k, "db/pool", 0) != 6 {
		t.Errorf("%q", keys)
	}
	must(c.set(ctx, root+"/db/pool", []byte("many"), -1))(t)
	until(t, failures, "the refusal")
	if Setting(k, "db/pool", 0) != 6 {
		t.Error("a setting that was refused is in effect")
	}
	must(c.set(ctx, root+"/db/pool", []byte(`{"x":1}`), -1))(t)
	until(t, failures, "the refusal")
	k.Close()

	// A start without servers.
	g := newGate()
	g.shut()
	defer g.open()
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	cutOff := clientWith(t, Options{Dial: g.dial})
	again := must(OpenConfig(short, cutOff, root, o))(t)
	until(t, failures, "the note that settings are old")
	if Setting(again, "db/pool", 0) != 6 {
		t.Errorf("%v", again.All())
	}
	again.Close()
	ok(t, os.WriteFile(o.File, []byte("not JSON"), 0o600))
	if _, err := OpenConfig(short, cutOff, root, o); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestConfigEachStep(t *testing.T) {
	t.Parallel()
	eachStep(t, func(t *testing.T, c *Client, _ *faults) {
		ctx, root := within(t), fresh(t)
		writer := client(t)
		ok(t, writer.ensure(ctx, root+"/a"))
		changed := make(chan []string, 100)
		k := must(OpenConfig(ctx, c, root, ConfigOptions{Settle: time.Millisecond, OnChange: func(keys []string) { changed <- keys }}))(t)
		must(writer.set(ctx, root+"/a", []byte("1"), -1))(t)
		until(t, changed, "the change")
		if v := Setting(k, "a", 0); v != 1 {
			t.Errorf("%d", v)
		}
		k.Close()
	})
}
