/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/net.h"

#include <stdlib.h>

#include "sim/router.h"
#include "wire/load.h"

enum {
	BATCH = 64,
	PAGE_BYTES = 4096,
	ETHERNET_BYTES = 14,
	IP4_DESTINATION = ETHERNET_BYTES + 16,
	IP6_DESTINATION = ETHERNET_BYTES + 24,
	SWITCH_END = 1, /* of each wire; the machine has end 0 */
};

struct ip_addr net_addr(u32 machine, bool v6)
{
	if (v6)
		return (struct ip_addr){.b = {0xfd, [13] = (u8)(machine + 1), [15] = 1}};
	return (struct ip_addr){
		.b = {[10] = 0xff, [11] = 0xff, [12] = 10, [13] = (u8)(machine + 1), [15] = 1}};
}

struct ip_addr net_hop_addr(u32 hop, bool v6)
{
	if (v6)
		return (struct ip_addr){.b = {0xfd, [1] = 9, [15] = (u8)(hop + 1)}};
	return (struct ip_addr){
		.b = {[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 99, [15] = (u8)(hop + 1)}};
}

/* -- making one -------------------------------------------------------------------------------- */

/* Damage is done on the way to the switch only: two flipped bits of one frame may cancel each other
 * out in a TCP checksum, and the byte that arrives is wrong with nobody to blame. */
static struct sim_link downwards(struct sim_link link)
{
	link.corrupt_ppm = 0;
	return link;
}

static bool make_wire(struct net *net, u32 machine, u32 port)
{
	const struct net_config *k = &net->config;
	const struct sim_wire_config wire = {
		.seed = k->seed * 64 + machine * NET_PORTS + port,
		.link = {k->link[machine], downwards(k->link[machine])},
		.mtu_bytes = k->mtu[machine],
		.frames_max = k->frames_max,
	};
	struct buf_pool *const pools[2] = {k->pool[machine][port], &net->pool};
	void *mem = aligned_alloc(PAGE_BYTES, (sim_wire_bytes(&wire) + PAGE_BYTES - 1) &
	                                              ~(size_t)(PAGE_BYTES - 1));

	if (!mem)
		return false;
	net->wire[machine][port] = sim_wire_init(mem, &wire, pools);
	return true;
}

bool net_init(struct net *net, const struct net_config *config)
{
	const struct buf_pool_config pool = {.small = 2 * BATCH, .large = 1};

	memset(net, 0, sizeof(*net));
	net->config = *config;
	net->pool_mem = aligned_alloc(PAGE_BYTES, buf_pool_bytes(&pool));
	if (!net->pool_mem)
		return false;
	buf_pool_init(&net->pool, net->pool_mem, &pool);
	for (u32 m = 0; m < config->machines; m++) {
		for (u32 i = 0; i < config->ports[m]; i++) {
			if (!make_wire(net, m, i)) {
				net_fini(net);
				return false;
			}
		}
		for (u32 i = 0; i < NET_HOPS; i++)
			net->hop[m][i].mac = (struct mac_addr){{2, 1, 0, 0, 0, (u8)i}};
	}
	return true;
}

void net_fini(struct net *net)
{
	for (u32 m = 0; m < NET_MACHINES; m++) {
		for (u32 i = 0; i < NET_PORTS; i++)
			free(net->wire[m][i]);
	}
	free(net->pool_mem);
	memset(net, 0, sizeof(*net));
}

struct port *net_port(struct net *net, u32 machine, u32 port)
{
	return sim_wire_port(net->wire[machine][port], !SWITCH_END);
}

/* -- the switch -------------------------------------------------------------------------------- */

static bool is_hop(const struct net *net, u32 machine, const u8 *mac)
{
	for (u32 i = 0; i < NET_HOPS; i++) {
		const struct net_hop *h = &net->hop[machine][i];

		if (!memcmp(h->mac.b, mac, sizeof(h->mac)) ||
		    (net->now_ns < h->old_until_ns && !memcmp(h->old.b, mac, sizeof(h->old))))
			return true;
	}
	return false;
}

/* Which machine a frame is for, by its IP destination; NIL: none. */
static u32 destination(const struct net *net, const u8 *frame, u32 len)
{
	struct ip_addr to = {{0}};
	bool v6 = len >= IP6_DESTINATION + 16 && wire_get16(frame + 12) == 0x86dd;

	if (v6) {
		memcpy(to.b, frame + IP6_DESTINATION, 16);
	} else if (len >= IP4_DESTINATION + 4 && wire_get16(frame + 12) == 0x0800) {
		to.b[10] = to.b[11] = 0xff;
		memcpy(to.b + 12, frame + IP4_DESTINATION, 4);
	}
	for (u32 m = 0; m < net->config.machines; m++) {
		const struct ip_addr a = net_addr(m, v6);

		if (ip_addr_eq(&a, &to))
			return m;
	}
	return NIL;
}

void net_send(struct net *net, u32 machine, const struct rx_frame *f)
{
	const struct buf *b = buf_at(&net->pool, f->buf);
	struct port *port = sim_wire_port(net->wire[machine][net->active[machine]], SWITCH_END);
	struct tx_frame out = {
		.header_len = ETHERNET_BYTES,
		.payload_buf = f->buf,
		.payload_off = b->off + ETHERNET_BYTES,
		.payload_len = f->len - ETHERNET_BYTES,
		.conn = NIL,
	};

	memcpy(out.header, buf_data(&net->pool, f->buf), ETHERNET_BYTES);
	(void)port->ops->transmit(port, &out, 1);
}

static void route(struct net *net, u32 from, const struct rx_frame *f)
{
	const u8 *bytes = buf_data(&net->pool, f->buf);
	u32 to = destination(net, bytes, buf_at(&net->pool, f->buf)->len);

	if (router_frame(net, from, bytes, buf_at(&net->pool, f->buf)->len))
		return;
	if (!is_hop(net, from, bytes)) {
		net->counters.misaddressed++;
	} else if (to == NIL) {
		net->counters.unroutable++;
	} else if (f->len > net->config.mtu[to] + ETHERNET_BYTES) {
		net->counters.too_big++;
		router_too_big(net, from, bytes, f->len, net->config.mtu[to]);
	} else {
		net_send(net, to, f);
		net->counters.routed++;
	}
}

void net_route(struct net *net)
{
	struct rx_frame frames[BATCH];

	for (u32 m = 0; m < net->config.machines; m++) {
		for (u32 p = 0; p < net->config.ports[m]; p++) {
			struct port *port = sim_wire_port(net->wire[m][p], SWITCH_END);
			int n;

			while ((n = port->ops->receive(port, frames, BATCH)) > 0) {
				for (int i = 0; i < n; i++) {
					route(net, m, &frames[i]);
					buf_put_chain(&net->pool, frames[i].buf);
				}
			}
		}
	}
}

/* -- time and changes -------------------------------------------------------------------------- */

void net_set_now(struct net *net, u64 now_ns)
{
	net->now_ns = now_ns;
	for (u32 m = 0; m < net->config.machines; m++) {
		for (u32 p = 0; p < net->config.ports[m]; p++)
			sim_wire_set_now(net->wire[m][p], now_ns);
	}
}

u64 net_next_ns(const struct net *net)
{
	u64 next = UINT64_MAX;

	for (u32 m = 0; m < net->config.machines; m++) {
		for (u32 p = 0; p < net->config.ports[m]; p++)
			next = min_of(next, sim_wire_next_ns(net->wire[m][p], SWITCH_END));
	}
	return next;
}

u64 net_arrival_ns(const struct net *net, u32 machine)
{
	return sim_wire_next_ns(net->wire[machine][net->active[machine]], !SWITCH_END);
}

void net_set_link(struct net *net, u32 machine, const struct sim_link *link)
{
	const struct sim_link down = downwards(*link);

	for (u32 p = 0; p < net->config.ports[machine]; p++) {
		sim_wire_set_link(net->wire[machine][p], !SWITCH_END, link);
		sim_wire_set_link(net->wire[machine][p], SWITCH_END, &down);
	}
}

void net_set_up(struct net *net, u32 machine, bool up)
{
	for (u32 p = 0; p < net->config.ports[machine]; p++)
		sim_wire_set_up(net->wire[machine][p], up);
}

void net_set_mac(struct net *net, u32 machine, u32 hop, const struct mac_addr *mac)
{
	struct net_hop *h = &net->hop[machine][hop];

	h->old = h->mac;
	h->old_until_ns = net->now_ns + net->config.old_mac_ns;
	h->mac = *mac;
}

void net_set_mtu(struct net *net, u32 machine, u32 mtu)
{
	net->config.mtu[machine] = mtu;
}
