/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The script as a port: frames are kept in lists, Ethernet headers are put on and taken off. */
#include "packetdrill/port.h"

#include <errno.h>
#include <stdlib.h>

#include "base/csum.h"
#include "port/gather.h"
#include "wire/ip.h"
#include "wire/tcp.h"

enum {
	ETH_BYTES = 14,
	ETH_PAD = 2, /* so that IP is aligned */
	ETH_IP4 = 0x0800,
	ETH_IP6 = 0x86dd,
	PACKET_MAX = 65535,
};

const struct mac_addr script_mac = {{2, 0, 0, 0, 0, 1}}, script_peer_mac = {{2, 0, 0, 0, 0, 2}};

static int port_receive(struct port *port, struct rx_frame *frames, u32 n)
{
	struct script_port *p = (struct script_port *)port;
	u32 done = min_of(n, p->rx_n - p->rx_at);

	if (!done)
		return 0;
	memcpy(frames, p->rx + p->rx_at, done * sizeof(*frames));
	p->rx_at += done;
	if (p->rx_at == p->rx_n)
		p->rx_at = p->rx_n = 0;
	return (int)done;
}

/* packetdrill itself does not look at the checksums of what it is given. */
static bool is_intact(const u8 *ip, u32 len)
{
	struct wire_ip h;
	u64 sum;

	if (wire_ip_parse(ip, len, &h) != WIRE_OK)
		return false;
	if (h.protocol != WIRE_IPPROTO_TCP)
		return true;
	sum = csum_pseudo(&h.src, &h.dst, h.protocol, h.payload_bytes);
	return csum_ok(csum_bytes(sum, ip + h.header_bytes, h.payload_bytes));
}

static int port_transmit(struct port *port, const struct tx_frame *frames, u32 n)
{
	struct script_port *p = (struct script_port *)port;

	for (u32 i = 0; i < n; i++) {
		u32 len = tx_frame_len(&frames[i]);
		struct packet_out *out = malloc(sizeof(*out) + len);
		const u8 *type;

		if (!out)
			return (int)i;
		frame_gather(p->pool, &frames[i], out->bytes);
		type = out->bytes + ETH_BYTES - 2;
		if (len < ETH_BYTES ||
		    (wire_get16(type) != ETH_IP4 && wire_get16(type) != ETH_IP6)) {
			free(out); /* ARP: a script speaks IP */
			continue;
		}
		out->next = NULL;
		out->time_ns = p->now_ns;
		out->len = len - ETH_BYTES;
		memmove(out->bytes, out->bytes + ETH_BYTES, out->len);
		p->bad_checksums += !is_intact(out->bytes, out->len);
		*p->tx_tail = out;
		p->tx_tail = &out->next;
	}
	return (int)n;
}

static void port_info(const struct port *port, struct port_info *ret)
{
	*ret = (struct port_info){.fd = -1, .mode = "script"};
}

static void port_counters(const struct port *port, struct port_counters *ret)
{
	*ret = (struct port_counters){0};
}

static void port_destroy(struct port *port)
{
	struct script_port *p = (struct script_port *)port;

	for (; p->rx_at < p->rx_n; p->rx_at++)
		buf_put_chain(p->pool, p->rx[p->rx_at].buf);
	free(p->rx);
	while (p->tx_head)
		free(script_port_pop(p));
}

static const struct port_ops script_port_ops = {
	.receive = port_receive,
	.transmit = port_transmit,
	.info = port_info,
	.counters = port_counters,
	.destroy = port_destroy,
};

void script_port_init(struct script_port *p, struct buf_pool *pool)
{
	*p = (struct script_port){.port.ops = &script_port_ops, .pool = pool};
	p->tx_tail = &p->tx_head;
}

struct packet_out *script_port_pop(struct script_port *p)
{
	struct packet_out *out = p->tx_head;

	if (out && !(p->tx_head = out->next))
		p->tx_tail = &p->tx_head;
	return out;
}

/* -- in ---------------------------------------------------------------------------------------- */

/* Appends bytes in a buffer of a class to a chain; how many fitted. */
static u32 append(struct buf_pool *pool, u32 *tail, u32 *head, enum buf_class cls, u32 pad,
                  const u8 *bytes, u32 n)
{
	u32 index = buf_alloc(pool, cls);
	struct buf *b;

	if (index == NIL)
		return 0;
	b = buf_at(pool, index);
	b->off = pad;
	b->len = min_of(n, buf_capacity(pool, index) - pad);
	memcpy(buf_data(pool, index), bytes, b->len);
	if (*head == NIL)
		*head = index;
	else
		buf_at(pool, *tail)->next = index;
	*tail = index;
	return b->len;
}

static bool reserve(struct script_port *p)
{
	struct rx_frame *rx;

	if (p->rx_n < p->rx_cap)
		return true;
	rx = realloc(p->rx, (p->rx_cap + 16) * sizeof(*rx));
	if (!rx)
		return false;
	p->rx = rx;
	p->rx_cap += 16;
	return true;
}

int script_port_push(struct script_port *p, const void *packet, size_t len)
{
	u8 *frame;
	u32 total = (u32)len + ETH_BYTES, head = NIL, tail = NIL, done;
	u8 version = len ? *(const u8 *)packet >> 4 : 0;

	if (len > PACKET_MAX)
		return -EMSGSIZE;
	if (version != 4 && version != 6)
		return -EINVAL;
	frame = malloc(total);
	if (!frame || !reserve(p)) {
		free(frame);
		return -ENOBUFS;
	}
	memcpy(frame, script_mac.b, 6);
	memcpy(frame + 6, script_peer_mac.b, 6);
	wire_put16(frame + 12, version == 4 ? ETH_IP4 : ETH_IP6);
	memcpy(frame + ETH_BYTES, packet, len);
	done = append(p->pool, &tail, &head, BUF_SMALL, ETH_PAD, frame, total);
	if (done && done < total)
		done += append(p->pool, &tail, &head, BUF_LARGE, 0, frame + done, total - done);
	free(frame);
	if (done < total) {
		buf_put_chain(p->pool, head);
		return -ENOBUFS;
	}
	p->rx[p->rx_n++] = (struct rx_frame){.buf = head, .len = total};
	return 0;
}
