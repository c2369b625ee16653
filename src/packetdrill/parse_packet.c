/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Packets of a script: < or >, what IP says, flags, numbers, options, or ICMP. */
#include <ctype.h>
#include <stdlib.h>

#include "packetdrill/script.h"
#include "wire/tcp.h"

enum {
	TCP_HEADER_BYTES = 20,
	SEGMENT_MAX = 65535 - 60,
};

/* -- numbers ----------------------------------------------------------------------------------- */

static bool need_number(struct text *t, const char *what, s64 max, s64 *ret)
{
	if (!text_int(t, ret))
		return text_fail(t, "a number is missing behind \"%s\"", what);
	if (*ret < 0 || *ret > max)
		return text_fail(t, "%s %lld is out of range: it is from 0 to %lld", what,
		                 (long long)*ret, (long long)max);
	return true;
}

static bool parse_number(struct text *t, const char *word, s64 max, u32 *ret, bool *ret_has)
{
	s64 n;

	if (!text_take(t, word))
		return true;
	if (!need_number(t, word, max, &n))
		return false;
	*ret = (u32)n;
	*ret_has = true;
	return true;
}

/* 1:1001(1000) */
static bool parse_range(struct text *t, u32 *ret_seq, u32 *ret_len)
{
	s64 from, to, len;

	if (!need_number(t, "sequence", UINT32_MAX, &from) || !text_need(t, ":") ||
	    !need_number(t, ":", UINT32_MAX, &to))
		return false;
	len = (u32)(to - from);
	if (text_take(t, "(")) {
		if (!need_number(t, "(", SEGMENT_MAX, &len) || !text_need(t, ")"))
			return false;
		if ((u32)len != (u32)(to - from))
			return text_fail(t, "%lld:%lld is %u bytes, not %lld", (long long)from,
			                 (long long)to, (u32)(to - from), (long long)len);
	}
	*ret_seq = (u32)from;
	*ret_len = (u32)len;
	return true;
}

/* -- what IP says: [ect0], [tos 0x10], [ttl 64], [bad_csum], [src ADDR], ... ---------------------
 */

static bool parse_addr(struct text *t, char **ret)
{
	const char *from;

	text_skip(t);
	from = t->at;
	while (isxdigit((unsigned char)*t->at) || *t->at == '.' || *t->at == ':')
		t->at++;
	if (t->at == from)
		return text_fail(t, "an address is missing");
	free(*ret);
	*ret = text_slice(from, t->at);
	return true;
}

static bool parse_ip_word(struct text *t, struct packet_spec *p)
{
	static const char *const ecn[] = {
		[ECN_NONE] = "noecn", [ECN_ECT1] = "ect1", [ECN_ECT0] = "ect0", [ECN_CE] = "ce"};
	s64 n;

	for (u8 i = ECN_NONE; i <= ECN_CE; i++) {
		if (text_take(t, ecn[i]) || (i == ECN_ECT0 && text_take(t, "ECT0")) ||
		    (i == ECN_ECT1 && text_take(t, "ECT1")) ||
		    (i == ECN_CE && text_take(t, "CE"))) {
			p->ecn = i;
			return true;
		}
	}
	if (text_take(t, "bad_csum")) {
		p->bad_csum = true;
		return true;
	}
	if (text_take(t, "tos")) {
		bool ok = need_number(t, "tos", 255, &n);

		p->tos = (s32)n;
		return ok;
	}
	if (text_take(t, "ttl")) {
		bool ok = need_number(t, "ttl", 255, &n);

		p->ttl = (s32)n;
		return ok;
	}
	if (text_take(t, "flowlabel"))
		return need_number(t, "flowlabel", 0xfffff, &p->flow_label);
	if (text_take(t, "src"))
		return parse_addr(t, &p->src);
	if (text_take(t, "dst"))
		return parse_addr(t, &p->dst);
	if (isdigit((unsigned char)*t->at)) {
		p->icmp.has_seq = true; /* the segment that an ICMP error quotes */
		return parse_range(t, &p->icmp.seq, &p->icmp.len);
	}
	return text_fail(t,
	                 "\"%.*s\" is not known; known are noecn, ect0, ect1, ce, tos N, ttl N, "
	                 "flowlabel N, bad_csum, src ADDRESS, dst ADDRESS, a:b(n)",
	                 (int)strcspn(t->at, "]\n"), t->at);
}

static bool parse_ip(struct text *t, struct packet_spec *p)
{
	const char *close = *t->at == '(' ? ")" : "]";

	if (*t->at != '[' && *t->at != '(')
		return true;
	t->at++;
	do {
		text_skip(t);
		if (!parse_ip_word(t, p))
			return false;
	} while (text_take(t, ","));
	return text_need(t, close);
}

/* -- options ----------------------------------------------------------------------------------- */

static bool add_bytes(struct text *t, struct packet_spec *p, const u8 *bytes, u32 n)
{
	if (p->n_options + n > OPTIONS_MAX)
		return text_fail(t, "the options are longer than 40 bytes; leave some out");
	memcpy(p->options + p->n_options, bytes, n);
	p->n_options += n;
	return true;
}

static bool add_option(struct text *t, struct packet_spec *p, u8 kind, const u8 *value, u32 n)
{
	const u8 head[2] = {kind, (u8)(n + 2)};

	return add_bytes(t, p, head, 2) && add_bytes(t, p, value, n);
}

static bool parse_timestamp(struct text *t, struct packet_spec *p)
{
	s64 val, ecr;
	u8 bytes[8];

	if (!text_need(t, "val") || !need_number(t, "val", UINT32_MAX, &val) ||
	    !text_need(t, "ecr") || !need_number(t, "ecr", UINT32_MAX, &ecr))
		return false;
	wire_put32(bytes, (u32)val);
	wire_put32(bytes + 4, (u32)ecr);
	p->ts_at = (s32)p->n_options + 2;
	return add_option(t, p, 8, bytes, 8);
}

static bool parse_sack(struct text *t, struct packet_spec *p)
{
	u8 bytes[32];
	u32 n = 0;

	for (text_skip(t); isdigit((unsigned char)*t->at) && n < sizeof(bytes); text_skip(t)) {
		u32 from, len;

		if (!parse_range(t, &from, &len))
			return false;
		wire_put32(bytes + n, from);
		wire_put32(bytes + n + 4, from + len);
		n += 8;
	}
	return n ? add_option(t, p, 5, bytes, n) : text_fail(t, "sack has no blocks; write a:b");
}

/* Bytes in hexadecimal, for options that are unknown or broken. */
static bool parse_raw(struct text *t, struct packet_spec *p)
{
	text_skip(t);
	for (; isxdigit((unsigned char)t->at[0]) && isxdigit((unsigned char)t->at[1]); t->at += 2) {
		const char digits[3] = {t->at[0], t->at[1], 0};
		u8 byte = (u8)strtoul(digits, NULL, 16);

		if (!add_bytes(t, p, &byte, 1))
			return false;
	}
	return true;
}

static bool parse_option(struct text *t, struct packet_spec *p)
{
	s64 n;
	u8 v[2];

	if (text_take(t, "nop"))
		return add_bytes(t, p, (const u8[]){1}, 1);
	if (text_take(t, "eol"))
		return add_bytes(t, p, (const u8[]){0}, 1);
	if (text_take(t, "sackOK"))
		return add_option(t, p, 4, v, 0);
	if (text_take(t, "sack"))
		return parse_sack(t, p);
	if (text_take(t, "TS"))
		return parse_timestamp(t, p);
	if (text_take(t, "raw"))
		return parse_raw(t, p);
	if (text_take(t, "mss")) {
		if (!need_number(t, "mss", 65535, &n))
			return false;
		wire_put16(v, (u16)n);
		return add_option(t, p, 2, v, 2);
	}
	if (text_take(t, "wscale")) {
		if (!need_number(t, "wscale", 255, &n))
			return false;
		v[0] = (u8)n;
		return add_option(t, p, 3, v, 1);
	}
	return text_fail(t,
	                 "the option \"%.*s\" is not known; known are mss N, wscale N, sackOK, "
	                 "sack a:b, TS val N ecr N, nop, eol, raw HEX",
	                 (int)strcspn(t->at, ",>\n"), t->at);
}

static bool parse_options(struct text *t, struct packet_spec *p)
{
	static const u8 zero[3];

	p->ts_at = -1;
	text_skip(t);
	if (*t->at != '<')
		return true;
	t->at++;
	if (text_take(t, "...")) {
		p->any_options = true;
		return text_need(t, ">");
	}
	if (text_take(t, ">"))
		return true;
	do {
		text_skip(t);
		if (!parse_option(t, p))
			return false;
	} while (text_take(t, ","));
	return text_need(t, ">") && add_bytes(t, p, zero, -p->n_options & 3);
}

/* -- ICMP -------------------------------------------------------------------------------------- */

static const struct icmp_name {
	const char *type, *code;
	u8 v4_type, v4_code, v6_type, v6_code; /* 255: not in this version */
} icmp_names[] = {
	{"unreachable", "net_unreachable", 3, 0, 1, 0},
	{"unreachable", "no_route", 255, 0, 1, 0},
	{"unreachable", "host_unreachable", 3, 1, 1, 3},
	{"unreachable", "address_unreachable", 255, 0, 1, 3},
	{"unreachable", "protocol_unreachable", 3, 2, 255, 0},
	{"unreachable", "port_unreachable", 3, 3, 1, 4},
	{"unreachable", "frag_needed", 3, 4, 2, 0},
	{"unreachable", "packet_too_big", 255, 0, 2, 0},
	{"unreachable", "source_route_failed", 3, 5, 255, 0},
	{"unreachable", "net_prohibited", 3, 9, 255, 0},
	{"unreachable", "host_prohibited", 3, 10, 255, 0},
	{"unreachable", "admin_prohibited", 3, 13, 1, 1},
	{"time_exceeded", "ttl", 11, 0, 3, 0},
	{"time_exceeded", "reassembly", 11, 1, 3, 1},
	{"parameter_problem", "pointer", 12, 0, 4, 0},
	{"source_quench", NULL, 4, 0, 255, 0},
	{"packet_too_big", NULL, 255, 0, 2, 0},
};

static bool parse_icmp(struct text *t, struct packet_spec *p)
{
	bool v4 = t->script->ip_version == 4;
	char *type = text_word(t), *code = NULL;
	const struct icmp_name *found = NULL;

	for (u32 i = 0; i < ARRAY_SIZE(icmp_names) && type && !found; i++) {
		const struct icmp_name *n = &icmp_names[i];

		if (!strcmp(n->type, type) && (v4 ? n->v4_type : n->v6_type) != 255 &&
		    (!n->code || text_take(t, n->code)))
			found = n;
	}
	if (!found)
		text_fail(t, "the ICMP message \"%s %.*s\" is not known in IPv%d", type ? type : "",
		          (int)strcspn(t->at, " \n"), t->at, t->script->ip_version);
	free(type);
	free(code);
	if (!found)
		return false;
	p->icmp.is = true;
	p->icmp.type = v4 ? found->v4_type : found->v6_type;
	p->icmp.code = v4 ? found->v4_code : found->v6_code;
	if (!parse_number(t, "mtu", UINT32_MAX, &p->icmp.mtu, &p->icmp.has_mtu))
		return false;
	text_skip(t);
	return parse_ip(t, p);
}

/* -- segments ---------------------------------------------------------------------------------- */

static bool parse_flags(struct text *t, struct packet_spec *p)
{
	static const char letters[] = "FSRP.UEW"; /* in the order of the bits */
	const char *from = t->at, *at;

	while (*t->at && (at = strchr(letters, *t->at))) {
		p->flags |= (u8)(1 << (at - letters));
		t->at++;
	}
	if (t->at == from)
		return text_fail(
			t,
			"flags are missing before \"%.*s\"; write them as S, S., P., F., R, "
			". and E, W, U",
			(int)min_of(strcspn(t->at, "\n"), (size_t)40), t->at);
	text_skip(t);
	return true;
}

/* 5001 > 8080, for scripts with more than one connection */
static bool parse_ports(struct text *t, struct packet_spec *p)
{
	s64 from, to;

	if (!isdigit((unsigned char)*t->at))
		return true;
	if (!need_number(t, "port", 65535, &from) || !text_need(t, ">") ||
	    !need_number(t, "port", 65535, &to))
		return false;
	p->src_port = (u16)from;
	p->dst_port = (u16)to;
	text_take(t, ":");
	return true;
}

bool parse_packet(struct text *t, struct event *e)
{
	struct packet_spec *p = &e->packet;

	e->kind = EVENT_PACKET;
	p->out = *t->at++ == '>';
	p->tos = p->ttl = -1;
	p->flow_label = -1;
	text_skip(t);
	while (*t->at == '[' || *t->at == '(') {
		if (!parse_ip(t, p))
			return false;
		text_skip(t);
	}
	if (!parse_ports(t, p))
		return false;
	text_skip(t);
	if (text_take(t, "icmp"))
		return parse_icmp(t, p);
	if (!parse_flags(t, p))
		return false;
	if (isdigit((unsigned char)*t->at)) {
		if (!parse_range(t, &p->seq, &p->len))
			return false;
		p->has_seq = true;
	} else {
		return text_fail(t, "the sequence numbers are missing; write them as 1:1001(1000)");
	}
	return parse_number(t, "ack", UINT32_MAX, &p->ack, &p->has_ack) &&
	       parse_number(t, "win", 65535, &p->win, &p->has_win) &&
	       parse_number(t, "urg", 65535, &p->urg, &p->has_urg) && parse_options(t, p);
}
