package recipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestRegistry(t *testing.T) {
	t.Parallel()
	for name, layout := range map[string]RegistryLayout{"curator": CuratorServices, "dubbo": DubboServices} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, base := within(t), fresh(t)
			f, g := newFaults(-1, unsent), newGate()
			lists := make(chan []Instance, 100)
			asks := NewRegistry(clientWith(t, Options{Dial: g.dial}), base, layout)
			s := must(asks.Discover(ctx, "org.example.Greeter", func(l []Instance) { lists <- l }))(t)
			if _, _, err := s.Pick(&RoundRobin{}, ""); !errors.Is(err, ErrNoInstance) {
				t.Error(err)
			}
			offers := NewRegistry(faultyClient(t, f), base, layout)
			i := Instance{Service: "org.example.Greeter", Address: "10.1.2.3", Port: 8080, Weight: 50}
			r := must(offers.Register(ctx, i, Health{}))(t)
			l := until(t, lists, "the instance")
			if len(l) != 1 || l[0].HostPort() != "10.1.2.3:8080" || l[0].ID != r.Instance().ID {
				t.Fatalf("%+v", l)
			}
			f.expire(t)
			for len(until(t, lists, "the instance to be gone or again")) != 1 {
			}
			g.shut()
			if i, done, err := s.Pick(&LeastConnections{}, ""); err != nil || i.Port != 8080 {
				t.Errorf("%+v, %v", i, err)
			} else {
				done()
			}
			g.open()
			ok(t, r.Unregister(ctx))
			for len(until(t, lists, "the instance to be gone")) != 0 {
			}
			if names := must(asks.Services(ctx))(t); !slices.Equal(names, []string{"org.example.Greeter"}) {
				t.Errorf("%q", names)
			}
			s.Close()
		})
	}
}

func TestRegistryEachStep(t *testing.T) {
	t.Parallel()
	eachStep(t, func(t *testing.T, c *Client, _ *faults) {
		ctx, base := within(t), fresh(t)
		r := NewRegistry(c, base, CuratorServices)
		g := must(r.Register(ctx, Instance{Service: "s", ID: "i", Port: 7}, Health{}))(t)
		s := must(r.Discover(ctx, "s"))(t)
		watcher := client(t)
		numbering(t, watcher, base+"/s", 1)
		if l := s.Instances(); len(l) > 1 || len(l) == 1 && l[0].Port != 7 {
			t.Errorf("%+v", l)
		}
		ok(t, g.Unregister(ctx))
		empties(t, watcher, base+"/s")
	})
}

func TestRegistryHealth(t *testing.T) {
	t.Parallel()
	ctx, base := within(t), fresh(t)
	var ill atomic.Bool
	ill.Store(true)
	c := client(t)
	r := must(NewRegistry(c, base, CuratorServices).Register(ctx, Instance{Service: "s", ID: "i"}, Health{
		Interval: 10 * time.Millisecond,
		Check: func(context.Context) error {
			if ill.Load() {
				return errors.New("ill")
			}
			return nil
		},
	}))(t)
	if stat := must(c.exists(ctx, base+"/s/i"))(t); stat != nil {
		t.Error("an instance that is ill is listed")
	}
	ill.Store(false)
	numbering(t, c, base+"/s", 1)
	ill.Store(true)
	empties(t, c, base+"/s")
	ok(t, r.Unregister(ctx))
}

func TestCuratorInstance(t *testing.T) {
	i := Instance{Service: "s", ID: "i", Address: "h", Port: 1, Payload: json.RawMessage(`{"weight":7}`), Registered: time.UnixMilli(1234)}
	name, data, err := CuratorServices.encode(i)
	want := `{"name":"s","id":"i","address":"h","port":1,"sslPort":null,"payload":{"weight":7},"registrationTimeUTC":1234,"serviceType":"DYNAMIC","uriSpec":null}`
	if err != nil || name != "i" || string(data) != want {
		t.Errorf("%s %s %v", name, data, err)
	}
	back, err := CuratorServices.decode("s", name, data)
	if err != nil || back.Port != 1 || back.Weight != 7 || !back.Registered.Equal(i.Registered) || back.Disabled {
		t.Errorf("%+v %v", back, err)
	}
	if back, err := CuratorServices.decode("s", "i", []byte(`{"id":"i","enabled":false,"payload":"text"}`)); err != nil || !back.Disabled {
		t.Errorf("%+v %v", back, err)
	}
	if _, err := CuratorServices.decode("s", "i", []byte("10.0.0.1")); err == nil {
		t.Error("text is accepted")
	}
}

func TestDubboInstance(t *testing.T) {
	// As Dubbo 2.7 registers its demo.
	name := "dubbo%3A%2F%2F192.168.1.5%3A20880%2Forg.apache.dubbo.demo.DemoService%3Fanyhost%3Dtrue%26application%3Ddemo-provider%26dubbo%3D2.0.2" +
		"%26interface%3Dorg.apache.dubbo.demo.DemoService%26methods%3DsayHello%2CsayHelloAsync%26pid%3D1%26side%3Dprovider%26timestamp%3D1234%26weight%3D20"
	i, err := DubboServices.decode("org.apache.dubbo.demo.DemoService", name, nil)
	if err != nil || i.HostPort() != "192.168.1.5:20880" || i.Protocol != "dubbo" || i.Weight != 20 || i.Params["methods"] != "sayHello,sayHelloAsync" ||
		i.Registered.UnixMilli() != 1234 {
		t.Errorf("%+v %v", i, err)
	}
	again, _, err := DubboServices.encode(i)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := url.QueryUnescape(again)
	if !strings.HasPrefix(text, "dubbo://192.168.1.5:20880/org.apache.dubbo.demo.DemoService?anyhost=true&application=demo-provider&") ||
		!strings.Contains(text, "methods=sayHello,sayHelloAsync&") || strings.Contains(again, "/") {
		t.Error(text)
	}
	for _, bad := range []string{"%zz", "no url", "dubbo%3A%2F%2Fhost%3Ax"} {
		if _, err := DubboServices.decode("s", bad, nil); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

func instances(weights ...int) []Instance {
	var l []Instance
	for n, w := range weights {
		l = append(l, Instance{ID: fmt.Sprint(n), Weight: w})
	}
	return l
}

func TestBalancers(t *testing.T) {
	var picked []string
	robin, weighted, least := &RoundRobin{}, &Weighted{}, &LeastConnections{}
	for range 4 {
		i, _ := robin.Pick(instances(0, 0, 0), "")
		picked = append(picked, i.ID)
	}
	for range 7 {
		i, _ := weighted.Pick(instances(5, 1, 1), "")
		picked = append(picked, i.ID)
	}
	a, doneA := least.Pick(instances(0, 0), "")
	b, doneB := least.Pick(instances(0, 0), "")
	doneB()
	doneB()
	c, _ := least.Pick(instances(0, 0), "")
	doneA()
	d, _ := least.Pick(instances(0, 0), "")
	picked = append(picked, a.ID, b.ID, c.ID, d.ID)
	if got := strings.Join(picked, ""); got != "0120"+"0010200"+"0110"[:3]+"0" {
		t.Error(got)
	}
}

func TestConsistentHash(t *testing.T) {
	b := &ConsistentHash{}
	all := instances(100, 100, 100, 200)
	count, moved := map[string]int{}, 0
	const keys = 10000
	before := map[string]string{}
	for n := range keys {
		key := fmt.Sprint("key", n)
		i, _ := b.Pick(all, key)
		before[key] = i.ID
		count[i.ID]++
	}
	for key, id := range before {
		if i, _ := b.Pick(all[1:], key); id != "0" && i.ID != id {
			moved++
		}
	}
	if moved > 0 {
		t.Errorf("%d keys moved from one instance that stays to another", moved)
	}
	for id, share := range map[string]int{"0": keys / 5, "1": keys / 5, "2": keys / 5, "3": keys * 2 / 5} {
		if count[id] < share*7/10 || count[id] > share*13/10 {
			t.Errorf("instance %s has %d keys of about %d", id, count[id], share)
		}
	}
}
