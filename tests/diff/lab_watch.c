// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "lab_internal.h"

#include "wire/parse.h"
#include "wire/tcp.h"

u64 lab_ranges_add(struct lab_ranges *r, u64 start, u64 end)
{
	u64 again = 0;
	u32 i = 0, k;

	if (start < r->next) {
		again += min_of(end, r->next) - start;
		start = min_of(end, r->next);
	}
	if (start == end)
		return again;
	while (i < r->n && r->range[i].end < start)
		i++;
	for (k = i; k < r->n && r->range[k].start <= end; k++) {
		u64 from = max_of(start, r->range[k].start), to = min_of(end, r->range[k].end);

		again += to > from ? to - from : 0;
	}
	if (k > i) { /* joins i to k - 1 */
		start = min_of(start, r->range[i].start);
		end = max_of(end, r->range[k - 1].end);
	} else if (r->n == LAB_RANGES_MAX) {
		return again; /* too many holes to remember: the count errs on the mild side */
	}
	memmove(&r->range[i + 1], &r->range[k], (r->n - k) * sizeof(r->range[0]));
	r->n = r->n - (k - i) + 1;
	r->range[i].start = start;
	r->range[i].end = end;
	if (r->range[0].start <= r->next) {
		r->next = r->range[0].end;
		memmove(&r->range[0], &r->range[1], --r->n * sizeof(r->range[0]));
	}
	return again;
}

/* The segment, and which connection it is of; NULL: none of ours. */
static struct lab_watch *parse(struct lab *l, const u8 *frame, u32 len, bool from_subject,
                               struct wire_tcp_segment *seg)
{
	u32 port;

	if (wire_parse_tcp(frame, len, len, seg))
		return NULL;
	port = (u32)(from_subject ? seg->flow.remote_port : seg->flow.local_port) - LAB_FIRST_PORT;
	return port < l->config->conns ? &l->watch[port] : NULL;
}

void lab_watch_subject(struct lab *l, const u8 *frame, u32 len)
{
	struct wire_tcp_segment seg;
	struct lab_watch *w = parse(l, frame, len, true, &seg);
	u32 edge;

	if (!w)
		return;
	l->result.fins += !!(seg.flags & WIRE_FIN);
	l->result.resets += !!(seg.flags & WIRE_RST);
	if (seg.flags & WIRE_SYN) {
		struct wire_tcp tcp;

		if (!wire_tcp_parse(frame + seg.tcp_off, seg.payload_off - seg.tcp_off, &tcp) &&
		    tcp.options.present & WIRE_OPT_WSCALE)
			w->wscale = tcp.options.wscale;
		return;
	}
	if (!(seg.flags & WIRE_ACK))
		return;
	edge = seg.ack.n + ((u32)seg.wnd << w->wscale);
	/* The window's field has a grain, so an edge may fall back within it (RFC 7323 2.4). */
	if (w->has_edge && (s32)(edge - w->edge) <= -(1 << w->wscale))
		l->result.edge_retreats++;
	if (!w->has_edge || (s32)(edge - w->edge) > 0)
		w->edge = edge;
	w->has_edge = true;
}

void lab_watch_receiver(struct lab *l, const u8 *frame, u32 len)
{
	bool from_subject = l->config->subject_sends;
	struct wire_tcp_segment seg;
	struct lab_watch *w = parse(l, frame, len, from_subject, &seg);
	u64 at;

	if (!w)
		return;
	if (seg.flags & WIRE_SYN) {
		w->started = true;
		w->isn = seg.seq.n + 1;
		return;
	}
	if (!seg.payload_len || !w->started)
		return;
	at = w->high + (u64)(s64)(s32)(seg.seq.n - (u32)(w->isn + w->high));
	w->high = max_of(w->high, at);
	l->result.data_frames++;
	l->result.needless_bytes += lab_ranges_add(&w->got, at, at + seg.payload_len);
}
