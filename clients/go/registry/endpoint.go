package registry

import (
	"net/netip"
	"regexp"
	"strings"

	"google.golang.org/grpc/resolver"
)

var (
	targetScheme = regexp.MustCompile(`\A(?:dns|ipv4|ipv6|unix|unix-abstract|passthrough|xds|vsock):`)
	anyScheme    = regexp.MustCompile(`\A[a-z][a-z0-9+.-]*:/*`)
	listScheme   = regexp.MustCompile(`\Aipv[46]:`)
)

// isLocal reports whether an endpoint can only be this machine.
func isLocal(endpoint string) bool {
	for address := range strings.SplitSeq(listScheme.ReplaceAllString(endpoint, ""), ",") {
		if !isLoopback(address) {
			return false
		}
	}
	return true
}

func isLoopback(address string) bool {
	if strings.HasPrefix(address, "unix:") || strings.HasPrefix(address, "unix-abstract:") {
		return true
	}
	if strings.Contains(address, "//") {
		address = anyScheme.ReplaceAllString(address, "")
	}
	host := address
	if at := strings.LastIndexByte(address, ':'); at >= 0 && !strings.HasSuffix(address, "]") {
		host = address[:at]
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" {
		return true
	}
	parsed, err := netip.ParseAddr(host)
	return err == nil && parsed.IsLoopback()
}

// targetOf returns the gRPC target of an endpoint.
func targetOf(endpoint string) (string, error) {
	if scheme := targetScheme.FindString(endpoint); scheme != "" {
		name := strings.TrimSuffix(scheme, ":")
		if !listScheme.MatchString(scheme) && resolver.Get(name) == nil {
			return "", invalid("endpoint %q: this program cannot resolve %s targets", endpoint, name)
		}
		return endpoint, nil
	}
	if !strings.Contains(endpoint, ",") {
		return "dns:///" + endpoint, nil
	}
	family := ""
	for address := range strings.SplitSeq(endpoint, ",") {
		found := familyOf(address)
		if found == "" || (family != "" && family != found) {
			return "", invalid("endpoint %q: several endpoints must all be IPv4:port or all [IPv6]:port; "+
				"for names give one name that has all the addresses, as dns:///name:port", endpoint)
		}
		family = found
	}
	return family + ":" + endpoint, nil
}

func familyOf(address string) string {
	parsed, err := netip.ParseAddrPort(address)
	switch {
	case err != nil:
		return ""
	case parsed.Addr().Is4():
		return "ipv4"
	}
	return "ipv6"
}

// addressList resolves the targets `ipv4:…` and `ipv6:…`, which grpc-go does not know: the addresses are in the target.
type addressList string

// Scheme returns the scheme of the targets it resolves.
func (l addressList) Scheme() string { return string(l) }

// Build hands over the addresses; they never change.
func (l addressList) Build(target resolver.Target, to resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	var state resolver.State
	for address := range strings.SplitSeq(target.Endpoint(), ",") {
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: address}}})
	}
	return l, to.UpdateState(state)
}

// ResolveNow does nothing: there is nothing to ask.
func (addressList) ResolveNow(resolver.ResolveNowOptions) {}

// Close does nothing.
func (addressList) Close() {}
