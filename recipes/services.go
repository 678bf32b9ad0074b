package recipes

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

func joinHostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// CuratorServices is the layout of Apache Curator's service discovery: BASE/SERVICE/ID with JSON as its JsonInstanceSerializer
// writes it.
var CuratorServices RegistryLayout = curatorServices{}

type curatorServices struct{}

// curatorInstance is Curator's ServiceInstance.
type curatorInstance struct {
	Name         string          `json:"name"`
	ID           string          `json:"id"`
	Address      *string         `json:"address"`
	Port         *int            `json:"port"`
	SSLPort      *int            `json:"sslPort"`
	Payload      json.RawMessage `json:"payload"`
	Registration int64           `json:"registrationTimeUTC"` // milliseconds
	ServiceType  string          `json:"serviceType"`
	URISpec      json.RawMessage `json:"uriSpec"`
	Enabled      *bool           `json:"enabled,omitempty"` // older Curators do not know it: only written if false
}

func (curatorServices) dir(base, service string) string { return path.Join(base, service) }

func (curatorServices) encode(i Instance) (string, []byte, error) {
	c := curatorInstance{
		Name: i.Service, ID: i.ID, Address: &i.Address, Payload: i.Payload, Registration: i.Registered.UnixMilli(), ServiceType: "DYNAMIC",
	}
	if i.Port != 0 {
		c.Port = &i.Port
	}
	if i.SSLPort != 0 {
		c.SSLPort = &i.SSLPort
	}
	if i.Disabled {
		c.Enabled = new(bool)
	}
	data, err := json.Marshal(c)
	return i.ID, data, err
}

func (curatorServices) decode(service, name string, data []byte) (Instance, error) {
	var c curatorInstance
	if err := json.Unmarshal(data, &c); err != nil {
		return Instance{}, fmt.Errorf("instance %s: %w", name, err)
	}
	i := Instance{Service: service, ID: c.ID, Payload: c.Payload, Registered: time.UnixMilli(c.Registration), Disabled: c.Enabled != nil && !*c.Enabled}
	if string(c.Payload) == "null" {
		i.Payload = nil
	}
	if c.Address != nil {
		i.Address = *c.Address
	}
	if c.Port != nil {
		i.Port = *c.Port
	}
	if c.SSLPort != nil {
		i.SSLPort = *c.SSLPort
	}
	var weighed struct {
		Weight int `json:"weight"`
	}
	if json.Unmarshal(c.Payload, &weighed) == nil { // a payload of another kind has no weight
		i.Weight = weighed.Weight
	}
	return i, nil
}

// DubboServices is the layout of Dubbo's registry: BASE/INTERFACE/providers/URL, the URL escaped: the instance is in the name.
// The service is the Java interface.
var DubboServices RegistryLayout = dubboServices{}

type dubboServices struct{}

func (dubboServices) dir(base, service string) string { return path.Join(base, service, "providers") }

func (dubboServices) encode(i Instance) (string, []byte, error) {
	u := url.URL{Scheme: i.Protocol, Host: i.HostPort(), Path: "/" + i.Service}
	if u.Scheme == "" {
		u.Scheme = "dubbo"
	}
	q := url.Values{}
	for k, v := range i.Params {
		q.Set(k, v)
	}
	for k, v := range map[string]string{
		"interface": i.Service, "side": "provider", "category": "providers", "timestamp": strconv.FormatInt(i.Registered.UnixMilli(), 10), "instance.id": i.ID,
	} {
		if q.Get(k) == "" {
			q.Set(k, v)
		}
	}
	if i.Weight != 0 {
		q.Set("weight", strconv.Itoa(i.Weight))
	}
	if i.Disabled {
		q.Set("enabled", "false")
	}
	u.RawQuery = plainQuery(q)
	return url.QueryEscape(u.String()), []byte(i.Address), nil
}

// plainQuery is the query as Dubbo writes it: not escaped by itself, since the URL is as a whole. Values with & or = do not survive that, in
// Dubbo as here.
func plainQuery(q url.Values) string {
	escaped := q.Encode() // in order
	var parts []string
	for _, part := range strings.Split(escaped, "&") {
		if plain, err := url.QueryUnescape(part); err == nil && !strings.ContainsAny(plain, "#%&") {
			part = plain
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "&")
}

func (dubboServices) decode(service, name string, _ []byte) (Instance, error) {
	text, err := url.QueryUnescape(name)
	if err != nil {
		return Instance{}, fmt.Errorf("provider %s: %w", name, err)
	}
	u, err := url.Parse(text)
	if err != nil {
		return Instance{}, fmt.Errorf("provider %s: %w", text, err)
	}
	if u.Host == "" {
		return Instance{}, fmt.Errorf("provider %s: %w", text, errors.New("no host"))
	}
	i := Instance{Service: service, ID: name, Address: u.Hostname(), Protocol: u.Scheme, Params: map[string]string{}}
	if p := u.Port(); p != "" {
		if i.Port, err = strconv.Atoi(p); err != nil {
			return Instance{}, fmt.Errorf("provider %s: %w", text, err)
		}
	}
	for k, v := range u.Query() {
		i.Params[k] = v[0]
	}
	if id := i.Params["instance.id"]; id != "" {
		i.ID = id
	}
	if ms, err := strconv.ParseInt(i.Params["timestamp"], 10, 64); err == nil {
		i.Registered = time.UnixMilli(ms)
	}
	i.Weight, _ = strconv.Atoi(i.Params["weight"]) // none: 0
	i.Disabled = i.Params["enabled"] == "false" || i.Params["disabled"] == "true"
	return i, nil
}
