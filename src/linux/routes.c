// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/routes.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "base/hash.h"

enum {
	BUCKETS = 4096,
	NUD_USABLE = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY,
};

struct routes {
	struct mnl_socket *netlink;
	struct hash_key key;
	struct path_entry *paths;
	u32 *path_next;
	u32 n_paths, cap_paths;
	struct neighbor_entry *neighbors;
	u32 *neighbor_next;
	u32 n_neighbors, cap_neighbors;
	bool followed;
	u32 path_buckets[BUCKETS];
	u32 neighbor_buckets[BUCKETS];
};

int routes_create(struct routes **ret_routes)
{
	struct routes *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	memset(r->path_buckets, 0xff, sizeof(r->path_buckets));
	memset(r->neighbor_buckets, 0xff, sizeof(r->neighbor_buckets));
	if (getrandom(&r->key, sizeof(r->key), 0) != sizeof(r->key)) {
		free(r);
		return -EIO;
	}
	err = rtnl_open(0, 0, &r->netlink);
	if (err) {
		free(r);
		return err;
	}
	*ret_routes = r;
	return 0;
}

void routes_destroy(struct routes *r)
{
	for (u32 i = 0; i < r->n_neighbors; i++)
		if (r->neighbors[i].managed)
			(void)!rtnl_manage_neighbor(r->netlink, &r->neighbors[i].next_hop,
			                            r->neighbors[i].ifindex, false);
	mnl_socket_close(r->netlink);
	free(r->paths);
	free(r->path_next);
	free(r->neighbors);
	free(r->neighbor_next);
	free(r);
}

static int interface_ioctl(u32 ifindex, unsigned long request, struct ifreq *ifr)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	if (s < 0)
		return -errno;
	memset(ifr, 0, sizeof(*ifr));
	err = if_indextoname(ifindex, ifr->ifr_name) && ioctl(s, request, ifr) == 0 ? 0 : -errno;
	close(s);
	return err;
}

u32 routes_interface_mtu(u32 ifindex)
{
	struct ifreq ifr;

	return interface_ioctl(ifindex, SIOCGIFMTU, &ifr) ? 0 : (u32)ifr.ifr_mtu;
}

bool routes_interface_mac(u32 ifindex, struct mac_addr *ret_mac)
{
	struct ifreq ifr;

	if (interface_ioctl(ifindex, SIOCGIFHWADDR, &ifr) ||
	    ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		return false;
	memcpy(ret_mac->b, ifr.ifr_hwaddr.sa_data, 6);
	return true;
}

bool routes_interface_up(u32 ifindex)
{
	struct ifreq ifr;

	return interface_ioctl(ifindex, SIOCGIFFLAGS, &ifr) == 0 && (ifr.ifr_flags & IFF_UP) &&
	       (ifr.ifr_flags & IFF_RUNNING);
}

/* Room for one more entry in two parallel arrays. */
static bool grow(void **entries, size_t size, u32 **next, u32 n, u32 *cap)
{
	u32 more = *cap ? *cap * 2 : 64;
	void *e;
	u32 *l;

	if (n < *cap)
		return true;
	e = realloc(*entries, more * size);
	if (!e)
		return false;
	*entries = e;
	l = realloc(*next, more * sizeof(*l));
	if (!l)
		return false;
	*next = l;
	*cap = more;
	return true;
}

static u32 neighbor_bucket(const struct routes *r, const struct ip_addr *hop, u32 ifindex)
{
	return (u32)(hash_bytes(&r->key, hop, sizeof(*hop)) + ifindex) % BUCKETS;
}

u32 routes_neighbor_find(const struct routes *r, const struct ip_addr *next_hop, u32 ifindex)
{
	u32 i = r->neighbor_buckets[neighbor_bucket(r, next_hop, ifindex)];

	while (i != NIL && (r->neighbors[i].ifindex != ifindex ||
	                    !ip_addr_eq(&r->neighbors[i].next_hop, next_hop)))
		i = r->neighbor_next[i];
	return i;
}

static void neighbor_ask(struct routes *r, struct neighbor_entry *n)
{
	struct neighbor_answer a;

	if (rtnl_neighbor(r->netlink, &n->next_hop, n->ifindex, &a) || !a.has_mac ||
	    !(a.nud & NUD_USABLE))
		return;
	n->mac = a.mac;
	n->valid = true;
}

static u32 neighbor_add(struct routes *r, const struct ip_addr *next_hop, u32 ifindex)
{
	u32 i = routes_neighbor_find(r, next_hop, ifindex), bucket;
	struct neighbor_entry *n;

	if (i != NIL)
		return i;
	if (!grow((void **)&r->neighbors, sizeof(*r->neighbors), &r->neighbor_next, r->n_neighbors,
	          &r->cap_neighbors))
		return NIL;
	i = r->n_neighbors++;
	n = &r->neighbors[i];
	*n = (struct neighbor_entry){.next_hop = *next_hop, .ifindex = ifindex};
	bucket = neighbor_bucket(r, next_hop, ifindex);
	r->neighbor_next[i] = r->neighbor_buckets[bucket];
	r->neighbor_buckets[bucket] = i;
	routes_interface_mac(ifindex, &n->port_mac);
	n->managed = rtnl_manage_neighbor(r->netlink, next_hop, ifindex, true) == 0;
	neighbor_ask(r, n);
	return i;
}

static void path_resolve(struct routes *r, struct path_entry *p)
{
	p->err = rtnl_route(r->netlink, &p->question, p->local_port, p->remote_port, &p->route);
	p->neighbor = NIL;
	p->mtu_bytes = 0;
	if (p->err)
		return;
	p->mtu_bytes =
		p->route.mtu_bytes ? p->route.mtu_bytes : routes_interface_mtu(p->route.ifindex);
	if (p->learned_mtu && p->learned_mtu < p->mtu_bytes)
		p->mtu_bytes = p->learned_mtu;
	if (p->route.type == RTN_UNICAST)
		p->neighbor = neighbor_add(r, &p->route.next_hop, p->route.ifindex);
}

static u32 path_bucket(const struct routes *r, const struct path_key *key)
{
	return (u32)hash_bytes(&r->key, key, sizeof(*key)) % BUCKETS;
}

u32 routes_path(struct routes *r, const struct path_key *question, u16 local_port, u16 remote_port)
{
	u32 bucket = path_bucket(r, question), i;
	struct path_entry *p;

	for (i = r->path_buckets[bucket]; i != NIL; i = r->path_next[i])
		if (!memcmp(&r->paths[i].question, question, sizeof(*question)))
			return i;
	if (!grow((void **)&r->paths, sizeof(*r->paths), &r->path_next, r->n_paths, &r->cap_paths))
		return NIL;
	i = r->n_paths++;
	p = &r->paths[i];
	*p = (struct path_entry){
		.question = *question, .local_port = local_port, .remote_port = remote_port};
	r->path_next[i] = r->path_buckets[bucket];
	r->path_buckets[bucket] = i;
	path_resolve(r, p);
	return i;
}

void routes_followed(struct routes *r, bool on)
{
	r->followed = on;
}

void routes_freshen(struct routes *r, u32 path, u64 now_ns)
{
	struct path_entry *p = &r->paths[path];
	bool old = !r->followed && now_ns - p->asked_ns > NS_PER_S;

	if (p->asked_ns && (old || p->err))
		(void)routes_refresh(r, path);
	r->paths[path].asked_ns = p->asked_ns && !old && !p->err ? p->asked_ns : now_ns;
}

bool routes_refresh(struct routes *r, u32 path)
{
	struct path_entry before = r->paths[path];
	struct path_entry *p = &r->paths[path];

	path_resolve(r, p);
	p = &r->paths[path];
	return before.err != p->err || before.route.ifindex != p->route.ifindex ||
	       before.route.type != p->route.type || before.mtu_bytes != p->mtu_bytes ||
	       !ip_addr_eq(&before.route.next_hop, &p->route.next_hop);
}

struct path_entry *routes_path_at(struct routes *r, u32 index)
{
	return &r->paths[index];
}

struct neighbor_entry *routes_neighbor_at(struct routes *r, u32 index)
{
	return &r->neighbors[index];
}

u32 routes_paths(const struct routes *r)
{
	return r->n_paths;
}

u32 routes_neighbors(const struct routes *r)
{
	return r->n_neighbors;
}

bool routes_resolve(struct routes *r, u32 neighbor, u32 wait_ms)
{
	struct neighbor_entry *n = &r->neighbors[neighbor];
	struct timespec step = {.tv_nsec = 1000000};

	for (u32 i = 0; !n->valid && i <= wait_ms; i++) {
		neighbor_ask(r, n);
		if (!n->valid && i < wait_ms)
			nanosleep(&step, NULL);
	}
	return n->valid;
}

int routes_confirm(struct routes *r, u32 neighbor, u64 now_ns, u64 interval_ns)
{
	struct neighbor_entry *n = &r->neighbors[neighbor];
	struct neighbor_answer a = {.next_hop = n->next_hop, .ifindex = n->ifindex, .mac = n->mac};

	if (!n->valid || (n->confirmed_ns && now_ns - n->confirmed_ns < interval_ns))
		return 0;
	n->confirmed_ns = now_ns;
	return rtnl_confirm_neighbor(r->netlink, &a);
}

struct mnl_socket *routes_socket(struct routes *r)
{
	return r->netlink;
}
