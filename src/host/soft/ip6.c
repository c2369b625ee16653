/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* IPv6 extension headers of datagrams for us (RFC 8200 4): options are skipped as their types say,
 * routing headers that lead nowhere are passed over, fragments are found. */
#include "host/soft/priv.h"

enum {
	HEADER_HOP_BY_HOP = 0,
	HEADER_ROUTING = 43,
	HEADER_FRAGMENT = WIRE_IPPROTO_IP6_FRAG,
	HEADER_DESTINATION = 60,
	PROBLEM_FIELD = 0, /* RFC 4443 3.4 */
	PROBLEM_NEXT_HEADER = 1,
	PROBLEM_OPTION = 2,
	OPTION_PAD1 = 0,
	OPTION_PADN = 1,
	HEADERS_MAX = 8, /* more are an attack (RFC 8504 5.3) */
};

/* Where the walk is. */
struct walk {
	struct soft *s;
	const u8 *p; /* of the datagram */
	u32 len;
	u32 at;      /* of the present header */
	u32 pointer; /* of the byte that named it */
	u8 next;
};

static bool problem(const struct walk *w, const struct wire_ip *ip, u8 code, u32 pointer,
                    bool to_group)
{
	const struct icmp_about about = {.kind = WIRE_ICMP_PARAMETER_PROBLEM,
	                                 .code = code,
	                                 .pointer = pointer,
	                                 .to_group = to_group};

	w->s->counters.bad_frames++;
	icmp_error(w->s, ip, w->p, w->len, &about);
	return false;
}

/* RFC 8200 4.2: the two highest bits of an unknown type say what to do. */
static bool option_ok(const struct walk *w, const struct wire_ip *ip, u32 at)
{
	switch (w->p[at] >> 6) {
	case 0:
		return true;
	case 1:
		w->s->counters.bad_frames++;
		return false;
	case 2:
		return problem(w, ip, PROBLEM_OPTION, at, true);
	default:
		return problem(w, ip, PROBLEM_OPTION, at, false);
	}
}

static bool options_ok(const struct walk *w, const struct wire_ip *ip, u32 end)
{
	u32 at = w->at + 2;

	while (at < end) {
		u8 type = w->p[at];

		if (type == OPTION_PAD1) {
			at++;
			continue;
		}
		if (at + 2 > end || at + 2 + w->p[at + 1] > end) {
			w->s->counters.bad_frames++;
			return false;
		}
		if (type != OPTION_PADN && !option_ok(w, ip, at))
			return false;
		at += 2 + w->p[at + 1];
	}
	return true;
}

/* The present header is an ordinary one of units of eight bytes; steps over it. */
static bool step(struct walk *w, const struct wire_ip *ip)
{
	u32 end;

	if (w->len - w->at < 8 || w->len - w->at < 8 * (1u + w->p[w->at + 1])) {
		w->s->counters.bad_frames++;
		return false;
	}
	end = w->at + 8 * (1u + w->p[w->at + 1]);
	/* RFC 8200 4.4: an unknown type of route is ignored once nothing is left of it. */
	if (w->next == HEADER_ROUTING && w->p[w->at + 3])
		return problem(w, ip, PROBLEM_FIELD, w->at + 2, false);
	if (w->next != HEADER_ROUTING && !options_ok(w, ip, end))
		return false;
	w->next = w->p[w->at];
	w->pointer = w->at;
	w->at = end;
	return true;
}

/* True: it is a fragment, and the walk ends here. */
static bool fragment(struct walk *w, struct wire_ip *ip)
{
	const u8 *f = w->p + w->at;
	u16 off = wire_get16(f + 2);

	ip->has_frag_header = 1;
	ip->frag_off = off & 0xfff8;
	ip->more_fragments = off & 1;
	ip->id = wire_get32(f + 4);
	w->next = f[0];
	w->pointer = w->at;
	w->at += WIRE_IP6_FRAG_BYTES;
	return wire_ip_is_fragment(ip); /* RFC 6946: one that is whole stands for itself */
}

bool ip6_walk(struct soft *s, struct wire_ip *ip, const u8 *p, u32 len, u32 *ret_pointer)
{
	struct walk w = {
		.s = s, .p = p, .len = len, .at = WIRE_IP6_BYTES, .pointer = 6, .next = p[6]};
	u32 headers = 0;
	bool ends = false;

	ip->frag_off = ip->more_fragments = 0;
	while (!ends && wire_ip6_is_extension(w.next)) {
		if (++headers > HEADERS_MAX || w.len - w.at < 8) {
			s->counters.bad_frames++;
			return false;
		}
		if (w.next == HEADER_FRAGMENT)
			ends = fragment(&w, ip);
		else if (w.next == HEADER_HOP_BY_HOP && headers > 1)
			return problem(&w, ip, PROBLEM_NEXT_HEADER, w.pointer, false);
		else if (w.next != HEADER_HOP_BY_HOP && w.next != HEADER_ROUTING &&
		         w.next != HEADER_DESTINATION)
			break; /* nothing that is understood here: the upper layer's error */
		else if (!step(&w, ip))
			return false;
	}
	ip->protocol = w.next;
	ip->header_bytes = (u16)w.at;
	ip->payload_bytes = len - w.at;
	*ret_pointer = w.pointer;
	return true;
}
