/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Packets of a script as bytes, and packets in words. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "base/csum.h"
#include "packetdrill/run.h"
#include "wire/ip.h"
#include "wire/tcp.h"

enum {
	TTL = 255,
	QUOTED_BYTES = 8, /* of the transport header, at least (RFC 792) */
	ICMP_BYTES = 8,
	CSUM_OFF = 16, /* in a TCP header */
	ICMP_CSUM_OFF = 2,
	TCP_MAX_HEADER = 60,
};

static struct ip_addr to_addr(const char *text, const u8 otherwise[16])
{
	struct ip_addr a;

	memcpy(a.b, otherwise, 16);
	if (text && strchr(text, ':')) {
		inet_pton(AF_INET6, text, a.b);
	} else if (text) {
		memset(a.b, 0, 16);
		a.b[10] = a.b[11] = 0xff;
		inet_pton(AF_INET, text, a.b + 12);
	}
	return a;
}

static u8 tos_of(const struct packet_spec *p)
{
	static const u8 ecn[] = {[ECN_ECT1] = 1, [ECN_ECT0] = 2, [ECN_CE] = 3};
	u8 tos = p->tos < 0 ? 0 : (u8)p->tos;

	return p->ecn == ECN_ANY ? tos : (u8)((tos & ~3u) | ecn[p->ecn]);
}

static u32 write_ip(const struct run *r, const struct packet_spec *p, u8 protocol, u32 len, u8 *to)
{
	const struct wire_ip ip = {
		.src = to_addr(p->src, r->remote),
		.dst = to_addr(p->dst, r->local),
		.version = (u8)r->script->ip_version,
		.tos = tos_of(p),
		.ttl = p->ttl < 0 ? TTL : (u8)p->ttl,
		.protocol = protocol,
		.payload_bytes = len,
	};

	return wire_ip_write(to, &ip);
}

/* A timestamp that the stack sent, as on the wire. */
static u32 live_ts(const struct flow *f, u32 script)
{
	for (u32 i = f->n_ts; i; i--) {
		if (f->ts[i - 1].script == script)
			return f->ts[i - 1].live;
	}
	return f->n_ts ? f->ts[0].live + (script - f->ts[0].script) : script;
}

/* Options as written, with our own numbers put in. */
static void write_options(const struct flow *f, const struct packet_spec *p, u8 *to)
{
	memcpy(to, p->options, p->n_options);
	if (p->ts_at >= 0 && f->n_ts)
		wire_put32(to + p->ts_at + 4, live_ts(f, wire_get32(p->options + p->ts_at + 4)));
	/* SACK blocks of a peer are about our bytes. */
	for (u32 i = 0; i + 1 < p->n_options && to[i];) {
		u32 len = to[i] == 1 ? 1 : to[i + 1];

		for (u32 at = i + 2; to[i] == 5 && at + 4 <= i + len && at + 4 <= p->n_options;
		     at += 4)
			wire_put32(to + at, wire_get32(to + at) + f->iss - f->script_iss);
		if (!len)
			break;
		i += len;
	}
}

static void write_tcp(const struct flow *f, const struct packet_spec *p, u8 *to)
{
	u32 ack = p->ack;

	if ((p->flags & WIRE_ACK) && f->has_iss)
		ack += f->iss - f->script_iss;
	wire_put16(to, p->src_port ? p->src_port : f->remote_port);
	wire_put16(to + 2, p->dst_port ? p->dst_port : f->local_port);
	wire_put32(to + 4, p->seq);
	wire_put32(to + 8, ack);
	to[12] = (u8)((WIRE_TCP_BYTES + p->n_options) / 4 << 4);
	to[13] = p->flags;
	wire_put16(to + 14, (u16)p->win);
	wire_put32(to + CSUM_OFF, p->urg);
	write_options(f, p, to + WIRE_TCP_BYTES);
}

static void put_csum(u8 *at, u64 sum)
{
	be16 csum = csum_finish(sum);

	memcpy(at, &csum, 2);
}

size_t packet_build(struct run *r, struct flow *f, const struct packet_spec *p, u8 *to)
{
	u32 head = WIRE_TCP_BYTES + p->n_options, len = head + p->len;
	u32 ip = write_ip(r, p, WIRE_IPPROTO_TCP, len, to);
	const struct ip_addr src = to_addr(p->src, r->remote), dst = to_addr(p->dst, r->local);
	u8 *tcp = to + ip;
	u32 offset = p->seq + !!(p->flags & WIRE_SYN) - f->irs - 1;

	write_tcp(f, p, tcp);
	for (u32 i = 0; i < p->len; i++)
		tcp[head + i] = run_pattern(false, offset + i);
	put_csum(tcp + CSUM_OFF,
	         csum_bytes(csum_pseudo(&src, &dst, WIRE_IPPROTO_TCP, len), tcp, len));
	if (p->bad_csum)
		tcp[CSUM_OFF] ^= 0x55;
	return ip + len;
}

/* The segment of ours that the error is about. */
static u32 write_quoted(const struct run *r, const struct flow *f, const struct packet_spec *p,
                        u8 *to)
{
	struct ip_addr local, remote;
	struct wire_ip ip;
	u32 n;

	memcpy(local.b, r->local, 16);
	memcpy(remote.b, r->remote, 16);
	ip = (struct wire_ip){.src = local,
	                      .dst = remote,
	                      .version = (u8)r->script->ip_version,
	                      .ttl = 64,
	                      .protocol = WIRE_IPPROTO_TCP,
	                      .dont_fragment = 1,
	                      .payload_bytes = WIRE_TCP_BYTES + p->icmp.len};
	n = wire_ip_write(to, &ip);
	memset(to + n, 0, WIRE_TCP_BYTES);
	wire_put16(to + n, f->local_port);
	wire_put16(to + n + 2, f->remote_port);
	wire_put32(to + n + 4, p->icmp.has_seq ? p->icmp.seq + f->iss - f->script_iss : f->iss);
	to[n + 12] = WIRE_TCP_BYTES / 4 << 4;
	to[n + 13] = WIRE_ACK;
	return n + WIRE_TCP_BYTES;
}

size_t packet_build_icmp(struct run *r, struct flow *f, const struct packet_spec *p, u8 *to)
{
	bool v4 = r->script->ip_version == 4;
	u8 icmp[256] = {p->icmp.type, p->icmp.code};
	u32 len = ICMP_BYTES + write_quoted(r, f, p, icmp + ICMP_BYTES), ip;
	const struct ip_addr src = to_addr(p->src, r->remote), dst = to_addr(p->dst, r->local);
	u64 sum = v4 ? 0 : csum_pseudo(&src, &dst, WIRE_IPPROTO_ICMP6, len);

	if (p->icmp.has_mtu)
		wire_put32(icmp + 4, p->icmp.mtu);
	put_csum(icmp + ICMP_CSUM_OFF, csum_bytes(sum, icmp, len));
	ip = write_ip(r, p, v4 ? WIRE_IPPROTO_ICMP : WIRE_IPPROTO_ICMP6, len, to);
	memcpy(to + ip, icmp, len);
	return ip + len;
}

/* -- in words ---------------------------------------------------------------------------------- */

static void describe_flags(u8 flags, FILE *f)
{
	for (u32 i = 0; i < 8; i++) {
		/* The order in which scripts are written. */
		static const u8 order[] = {WIRE_SYN, WIRE_FIN, WIRE_RST, WIRE_PSH,
		                           WIRE_ECE, WIRE_CWR, WIRE_URG, WIRE_ACK};
		static const char letter[] = "SFRPEWU.";

		if (flags & order[i])
			fputc(letter[i], f);
	}
	if (!flags)
		fputc('-', f);
}

static void describe_sack(const u8 *at, u32 n, FILE *f)
{
	fputs("sack", f);
	for (u32 i = 0; i + 8 <= n; i += 8)
		fprintf(f, " %u:%u", wire_get32(at + i), wire_get32(at + i + 4));
}

static void describe_option(const u8 *at, u32 len, FILE *f)
{
	switch (at[0]) {
	case 2:
		fprintf(f, "mss %u", wire_get16(at + 2));
		break;
	case 3:
		fprintf(f, "wscale %u", at[2]);
		break;
	case 4:
		fputs("sackOK", f);
		break;
	case 5:
		describe_sack(at + 2, len - 2, f);
		break;
	case 8:
		fprintf(f, "TS val %u ecr %u", wire_get32(at + 2), wire_get32(at + 6));
		break;
	default:
		fputs("raw ", f);
		for (u32 i = 0; i < len; i++)
			fprintf(f, "%02x", at[i]);
		break;
	}
}

static void describe_options(const u8 *at, u32 n, FILE *f)
{
	static const u8 need[256] = {[2] = 4, [3] = 3, [4] = 2, [5] = 10, [8] = 10};

	fputs(" <", f);
	for (u32 i = 0; i < n;) {
		u32 len = at[i] < 2 || i + 1 == n ? 1 : at[i + 1];

		fputs(i ? "," : "", f);
		if (at[i] < 2)
			fputs(at[i] ? "nop" : "eol", f);
		else if (len < 2 || i + len > n || len < need[at[i]])
			describe_option((const u8[]){255, at[i]}, 2, f), len = n - i;
		else
			describe_option(at + i, len, f);
		i += len;
	}
	fputs(">", f);
}

void packet_describe(const struct flow *f, const u8 *packet, size_t len, char *text, size_t size)
{
	FILE *out = fmemopen(text, size, "w");
	struct wire_ip ip;
	const u8 *tcp;
	u32 head, seq, n;

	if (!out)
		return;
	if (wire_ip_parse(packet, (u32)len, &ip) != WIRE_OK) {
		fputs("no IP packet", out);
	} else if (ip.protocol != WIRE_IPPROTO_TCP) {
		fprintf(out, "%s type %u code %u", "icmp", packet[ip.header_bytes],
		        packet[ip.header_bytes + 1]);
	} else {
		tcp = packet + ip.header_bytes;
		head = tcp[12] >> 4 << 2;
		n = ip.payload_bytes - head;
		seq = wire_get32(tcp + 4) - (f->has_iss ? f->iss - f->script_iss : 0);
		describe_flags(tcp[13], out);
		fprintf(out, " %u:%u(%u)", seq, seq + n, n);
		if (tcp[13] & WIRE_ACK)
			fprintf(out, " ack %u", wire_get32(tcp + 8));
		fprintf(out, " win %u", wire_get16(tcp + 14));
		if (tcp[13] & WIRE_URG)
			fprintf(out, " urg %u", wire_get16(tcp + 18));
		if (head > WIRE_TCP_BYTES)
			describe_options(tcp + WIRE_TCP_BYTES, head - WIRE_TCP_BYTES, out);
	}
	fclose(out);
}

void packet_describe_spec(const struct packet_spec *p, char *text, size_t size)
{
	FILE *out = fmemopen(text, size, "w");

	if (!out)
		return;
	if (p->icmp.is) {
		fprintf(out, "icmp type %u code %u", p->icmp.type, p->icmp.code);
	} else {
		describe_flags(p->flags, out);
		fprintf(out, " %u:%u(%u)", p->seq, p->seq + p->len, p->len);
		if (p->has_ack)
			fprintf(out, " ack %u", p->ack);
		if (p->has_win)
			fprintf(out, " win %u", p->win);
		if (p->has_urg)
			fprintf(out, " urg %u", p->urg);
		if (p->any_options)
			fputs(" <...>", out);
		else if (p->n_options)
			describe_options(p->options, p->n_options, out);
	}
	fclose(out);
}
