// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/fragments.h"

#include <errno.h>
#include <stdlib.h>

#include "wire/ethernet.h"
#include "wire/ip.h"

enum {
	DATAGRAMS = 32,
	PAYLOAD_MAX = 65535,
	UNITS = 8192, /* of eight bytes */
	HEAD_MAX = WIRE_ETH_BYTES + WIRE_IP6_BYTES,
};

#define LIFETIME_NS (30 * NS_PER_S)

struct datagram {
	bool used;
	u64 since_ns;
	struct wire_ip ip; /* of the fragment that came first */
	struct mac_addr dst, src;
	u32 total; /* bytes, 0: the last fragment has not come */
	u32 have;
	u8 filled[UNITS / 8]; /* one bit for eight bytes */
	u8 payload[PAYLOAD_MAX + 1];
};

struct fragments {
	struct datagram at[DATAGRAMS];
	u8 frame[HEAD_MAX + PAYLOAD_MAX];
};

int fragments_create(struct fragments **ret_fragments)
{
	*ret_fragments = calloc(1, sizeof(**ret_fragments));
	return *ret_fragments ? 0 : -ENOMEM;
}

void fragments_destroy(struct fragments *f)
{
	free(f);
}

static struct datagram *find(struct fragments *f, const struct wire_ip *ip, u64 now_ns)
{
	struct datagram *free_one = NULL;

	for (u32 i = 0; i < DATAGRAMS; i++) {
		struct datagram *d = &f->at[i];

		if (d->used && now_ns - d->since_ns > LIFETIME_NS)
			d->used = false;
		if (!d->used)
			free_one = d;
		else if (d->ip.id == ip->id && d->ip.version == ip->version &&
		         ip_addr_eq(&d->ip.src, &ip->src) && ip_addr_eq(&d->ip.dst, &ip->dst))
			return d;
	}
	if (!free_one)
		return NULL;
	memset(free_one, 0, offsetof(struct datagram, payload));
	free_one->used = true;
	free_one->since_ns = now_ns;
	free_one->ip = *ip;
	return free_one;
}

/* Marks the eight-byte units of a fragment; false: some of them were there already. */
static bool fill(struct datagram *d, u32 off, u32 len)
{
	for (u32 unit = off / 8; unit < (off + len + 7) / 8; unit++) {
		if (d->filled[unit / 8] & 1 << unit % 8)
			return false;
		d->filled[unit / 8] |= (u8)(1 << unit % 8);
	}
	return true;
}

static u32 write_frame(struct fragments *f, struct datagram *d)
{
	struct wire_link link = {.dst = d->dst, .src = d->src};
	u32 n;

	link.ethertype = d->ip.version == 4 ? WIRE_ETH_IP4 : WIRE_ETH_IP6;
	d->ip.more_fragments = 0;
	d->ip.frag_off = 0;
	d->ip.has_frag_header = 0;
	d->ip.has_options = 0;
	d->ip.payload_bytes = d->total;
	n = wire_link_write(f->frame, &link);
	n += wire_ip_write(f->frame + n, &d->ip);
	memcpy(f->frame + n, d->payload, d->total);
	d->used = false;
	return n + d->total;
}

static bool take(struct datagram *d, const struct wire_ip *ip, const u8 *payload)
{
	u32 end = ip->frag_off + ip->payload_bytes;

	if (!ip->payload_bytes || end > PAYLOAD_MAX || (ip->more_fragments && end % 8))
		return false;
	if (!ip->more_fragments && d->total)
		return false;
	if (!fill(d, ip->frag_off, ip->payload_bytes))
		return false;
	memcpy(d->payload + ip->frag_off, payload, ip->payload_bytes);
	d->have += ip->payload_bytes;
	if (!ip->more_fragments)
		d->total = end;
	return !d->total || d->have <= d->total;
}

enum fragments_result fragments_add(struct fragments *f, const u8 *frame, u32 len, u64 now_ns,
                                    const u8 **ret_frame, u32 *ret_len)
{
	struct wire_link link;
	struct wire_ip ip;
	struct datagram *d;
	const u8 *p;

	if (wire_link_parse(frame, len, len, &link) != WIRE_OK)
		return FRAGMENT_DROPPED;
	p = frame + link.header_bytes;
	if (wire_ip_parse(p, len - link.header_bytes, &ip) != WIRE_OK || !wire_ip_is_fragment(&ip))
		return FRAGMENT_DROPPED;
	if (link.header_bytes + ip.header_bytes + ip.payload_bytes > len)
		return FRAGMENT_DROPPED;
	d = find(f, &ip, now_ns);
	if (!d)
		return FRAGMENT_DROPPED;
	d->dst = link.dst;
	d->src = link.src;
	if (!take(d, &ip, p + ip.header_bytes)) {
		d->used = false; /* RFC 5722: an overlap ends the datagram */
		return FRAGMENT_DROPPED;
	}
	if (!d->total || d->have < d->total)
		return FRAGMENT_KEPT;
	*ret_len = write_frame(f, d);
	*ret_frame = f->frame;
	return FRAGMENT_WHOLE;
}
