/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Frames by their tags (R104). The tags of what leaves are written by the device below, which has
 * them in its neighbors; what arrives goes down only when its connection has exactly these tags. */
#include "driver/vlan/internal.h"
#include "wire/parse.h"

/* May the device below see the frame, and for whom? */
static bool may_pass(struct vlan *v, const struct rx_frame *f, u32 *ret_port)
{
	struct vlan_stack tags = {0};
	struct wire_tcp_segment seg;
	struct buf *b = buf_at(v->config.pool, f->buf);
	const u8 *p = buf_data(v->config.pool, f->buf);
	struct wire_link link;
	u32 at;

	*ret_port = 0;
	if (wire_parse_tcp(p, b->len, f->len, &seg) == WIRE_OK) {
		tags.n = seg.n_vlan;
		memcpy(tags.tag, seg.vlan, tags.n * sizeof(tags.tag[0]));
		*ret_port = vlan_port_of_tags(v, &tags);
		at = vlan_object_of_flow(v, &seg.flow);
		if (at == NIL) /* or it is of a connection that was there before the driver */
			return !*ret_port;
		if (vlan_tags_equal(&v->object[at].tags, &tags))
			return true;
		v->count.isolated++;
		return false;
	}
	/* What is no plain segment, no device takes; it says why. */
	if (wire_link_parse(p, b->len, f->len, &link) == WIRE_OK) {
		tags.n = link.n_vlan;
		memcpy(tags.tag, link.vlan, tags.n * sizeof(tags.tag[0]));
		*ret_port = vlan_port_of_tags(v, &tags);
	}
	return !*ret_port;
}

static void input(void *port, struct rx_frame *frames, u32 n, u64 now_ns)
{
	struct vlan_port *own = port;
	struct vlan *v = own->v;
	const struct device *d = &v->chain.below;
	u32 first = 0, p;

	for (u32 i = 0; i <= n; i++) {
		if (i < n && may_pass(v, &frames[i], &p) && (!own->index || p == own->index)) {
			v->count.frames[p]++;
			continue;
		}
		if (i > first)
			d->frames->input(d->impl, frames + first, i - first, now_ns);
		if (i < n) {
			frames[i].verdict = FRAME_TO_HOST; /* as it came */
			v->count.to_host++;
		}
		first = i + 1;
	}
}

static void set_time(void *port, u64 now_ns)
{
	frame_pass_ops.set_time(((struct vlan_port *)port)->v, now_ns);
}

static void timers(void *port, u64 now_ns)
{
	frame_pass_ops.timers(((struct vlan_port *)port)->v, now_ns);
}

static u32 events(void *port, u64 now_ns)
{
	return frame_pass_ops.events(((struct vlan_port *)port)->v, now_ns);
}

static bool flush(void *port, struct tx_batch *tx, u64 now_ns)
{
	return frame_pass_ops.flush(((struct vlan_port *)port)->v, tx, now_ns);
}

static u64 next_deadline(const void *port)
{
	return frame_pass_ops.next_deadline(((const struct vlan_port *)port)->v);
}

static void link_changed(void *port, u32 lane_port, bool up)
{
	frame_pass_ops.link_changed(((struct vlan_port *)port)->v, lane_port, up);
}

const struct frame_ops vlan_frame_ops = {
	.set_time = set_time,
	.input = input,
	.timers = timers,
	.events = events,
	.flush = flush,
	.next_deadline = next_deadline,
	.link_changed = link_changed,
};
