/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Packets of a script: sending those that come in, comparing those that go out. */
#include <errno.h>
#include <stdlib.h>

#include "base/csum.h"
#include "packetdrill/run.h"
#include "wire/ip.h"
#include "wire/tcp.h"

enum {
	TEXT_BYTES = 256,
	REMOTE_PORT_FIRST = 33000,
	TS_TICKS_PER_S = 1000,
	TS_SLACK_USECS = 2000,
	DELAYED_ACK_USECS = 40000,
};

/* -- which connection -------------------------------------------------------------------------- */

static struct flow *find_flow(struct run *r, u16 local_port, u16 remote_port)
{
	for (struct flow *f = r->flows; f; f = f->next) {
		if (f->local_port == local_port && f->remote_port == remote_port)
			return f;
	}
	return NULL;
}

static struct flow *add_flow(struct run *r, u16 local_port, u16 remote_port)
{
	struct flow *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->local_port = local_port;
	f->remote_port = remote_port;
	f->next = r->flows;
	r->flows = f;
	return f;
}

/* A connect() of the script waits for its SYN. */
static struct flow *opening_flow(struct run *r)
{
	for (struct flow *f = r->flows; f; f = f->next) {
		if (!f->local_port)
			return f;
	}
	return NULL;
}

static struct flow *flow_of_spec(struct run *r, const struct event *e)
{
	const struct packet_spec *p = &e->packet;
	u16 local = p->out ? p->src_port : p->dst_port, remote = p->out ? p->dst_port : p->src_port;
	struct flow *f = r->flow;

	if (local) {
		f = find_flow(r, local, remote);
		f = f ? f : add_flow(r, local, remote);
	} else if (!p->out && !f) {
		/* The first packet to a listener. */
		f = add_flow(r, r->script->bind_port,
		             (u16)(REMOTE_PORT_FIRST + r->next_remote_port++));
	}
	if (!f)
		run_fail(r, e,
		         "there is no connection yet; let a packet come in or connect() first");
	r->flow = f ? f : r->flow;
	return f;
}

/* -- in ---------------------------------------------------------------------------------------- */

bool run_packet_in(struct run *r, const struct event *e)
{
	const struct packet_spec *p = &e->packet;
	struct flow *f = flow_of_spec(r, e);
	u8 *packet;
	size_t n;
	int err;

	if (!f)
		return false;
	if (!f->local_port && !p->dst_port)
		return run_fail(r, e, "the SYN of connect() was not seen yet; expect it first");
	if (p->flags & WIRE_SYN) {
		f->again = f->has_irs && f->irs != p->seq;
		f->next_irs = p->seq;
		if (!f->has_irs)
			f->irs = p->seq;
		f->has_irs = true;
	}
	packet = malloc(PACKET_MAX);
	if (!packet)
		return run_fail(r, e, "out of memory");
	n = p->icmp.is ? packet_build_icmp(r, f, p, packet) : packet_build(r, f, p, packet);
	err = r->ifc.netdev_send(r->ifc.userdata, packet, n);
	free(packet);
	return err ? run_fail(r, e, "the stack does not take the packet: %s", strerror(errno))
	           : true;
}

/* -- out --------------------------------------------------------------------------------------- */

/* The next packet, kept in the run; false: none will come. */
static bool receive(struct run *r)
{
	long long usecs = 0;

	if (r->pushed_back) {
		r->pushed_back = false;
		return true;
	}
	do
		r->packet_len = PACKET_MAX;
	while (r->ifc.netdev_receive(r->ifc.userdata, r->packet, &r->packet_len, &usecs));
	r->packet_usecs = usecs - r->start_usecs;
	return r->packet_len != 0;
}

static bool differ(struct run *r, const struct event *e, const struct flow *f, const char *what)
{
	char is[TEXT_BYTES] = "", want[TEXT_BYTES] = "";

	packet_describe(f, r->packet, r->packet_len, is, sizeof(is));
	packet_describe_spec(&e->packet, want, sizeof(want));
	return run_fail(r, e, "%s\n  expected: > %s\n  sent:     > %s at %.6f", what, want, is,
	                (double)r->packet_usecs / 1e6);
}

/* Where a segment is: header, options, payload. */
struct seen {
	struct wire_ip ip;
	const u8 *tcp;
	u32 head, len, seq;
	u8 flags;
};

/* RFC 9293 3.1 MUST-2; 3.9.2.3 MUST-45. */
static bool check_frame(struct run *r, const struct event *e, const struct flow *f,
                        const struct seen *s)
{
	u64 sum = csum_pseudo(&s->ip.src, &s->ip.dst, WIRE_IPPROTO_TCP, s->ip.payload_bytes);

	if (memcmp(s->ip.src.b, r->local, sizeof(r->local)) ||
	    memcmp(s->ip.dst.b, r->remote, sizeof(r->remote)))
		return differ(r, e, f, "the addresses differ");
	if (!csum_ok(csum_bytes(sum, s->tcp, s->ip.payload_bytes)))
		return differ(r, e, f, "the checksum is wrong");
	return true;
}

static bool look(struct run *r, const struct event *e, struct flow *f, struct seen *ret)
{
	struct seen s;

	if (wire_ip_parse(r->packet, (u32)r->packet_len, &s.ip) != WIRE_OK)
		return run_fail(r, e, "the stack sent what is no IP packet");
	if (s.ip.protocol != WIRE_IPPROTO_TCP)
		return differ(r, e, f, "the packet is none of TCP");
	s.tcp = r->packet + s.ip.header_bytes;
	s.head = s.tcp[12] >> 4 << 2;
	s.len = s.ip.payload_bytes - s.head;
	s.seq = wire_get32(s.tcp + 4);
	s.flags = s.tcp[13];
	*ret = s;
	return check_frame(r, e, f, &s);
}

/* A SYN tells our numbers. */
static void learn(struct flow *f, const struct packet_spec *p, const struct seen *s)
{
	if (!f->local_port)
		f->local_port = wire_get16(s->tcp);
	if (!(s->flags & WIRE_SYN) || (f->has_iss && !f->again))
		return;
	if (f->again) {
		f->irs = f->next_irs;
		f->n_ts = 0;
	}
	f->again = false;
	f->has_iss = true;
	f->iss = s->seq;
	f->script_iss = p->seq;
}

static bool check_ip(struct run *r, const struct event *e, const struct flow *f,
                     const struct seen *s)
{
	static const u8 ecn[] = {[ECN_NONE] = 0, [ECN_ECT1] = 1, [ECN_ECT0] = 2, [ECN_CE] = 3};
	const struct packet_spec *p = &e->packet;

	if (p->ecn != ECN_ANY && (s->ip.tos & 3) != ecn[p->ecn])
		return differ(r, e, f, "the ECN field of IP differs");
	if (p->tos >= 0 && (s->ip.tos & ~3) != (p->tos & ~3))
		return differ(r, e, f, "the DSCP field of IP differs");
	if (p->ttl >= 0 && s->ip.ttl != p->ttl)
		return differ(r, e, f, "the TTL differs");
	if (p->flow_label >= 0 && s->ip.flow_label != p->flow_label)
		return differ(r, e, f, "the flow label differs");
	return true;
}

static bool check_numbers(struct run *r, const struct event *e, const struct flow *f,
                          const struct seen *s, u8 flags)
{
	const struct packet_spec *p = &e->packet;
	u32 delta = f->has_iss ? f->iss - f->script_iss : 0;

	if (wire_get16(s->tcp) != f->local_port || wire_get16(s->tcp + 2) != f->remote_port)
		return differ(r, e, f, "the ports differ");
	if (flags != p->flags)
		return differ(r, e, f, "the flags differ");
	if (s->seq != p->seq + delta)
		return differ(r, e, f, "the sequence number differs");
	if ((p->flags & WIRE_ACK) && wire_get32(s->tcp + 8) != p->ack)
		return differ(r, e, f, "the acknowledgment differs");
	if (p->has_win && wire_get16(s->tcp + 14) != p->win)
		return differ(r, e, f, "the window differs");
	if (wire_get16(s->tcp + 18) != p->urg)
		return differ(r, e, f, "the urgent pointer differs");
	return true;
}

/* Timestamp values run with the clock and echo what the peer sent; the script's own are names. */
static bool check_timestamp(struct run *r, const struct event *e, struct flow *f,
                            const struct seen *s)
{
	const struct packet_spec *p = &e->packet;
	const u8 *ts = s->tcp + WIRE_TCP_BYTES + p->ts_at;
	u32 val = wire_get32(ts);
	s64 off;

	if (!f->n_ts) {
		f->ts_first = val;
		f->ts_first_usecs = r->packet_usecs;
	}
	off = (s64)(val - f->ts_first) * (1000000 / TS_TICKS_PER_S) -
	      (r->packet_usecs - f->ts_first_usecs);
	if (r->config.strict && llabs(off) > TS_SLACK_USECS)
		return differ(r, e, f, "the timestamp does not run with the clock");
	if (r->config.strict && wire_get32(ts + 4) != wire_get32(p->options + p->ts_at + 4))
		return differ(r, e, f, "the timestamp's echo differs");
	if (f->n_ts < TS_MAX) {
		f->ts[f->n_ts].script = wire_get32(p->options + p->ts_at);
		f->ts[f->n_ts++].live = val;
	}
	return true;
}

static bool check_options(struct run *r, const struct event *e, struct flow *f,
                          const struct seen *s)
{
	const struct packet_spec *p = &e->packet;
	const u8 *options = s->tcp + WIRE_TCP_BYTES;
	u8 want[OPTIONS_MAX];

	if (p->any_options)
		return true;
	if (s->head - WIRE_TCP_BYTES != p->n_options)
		return differ(r, e, f, "the options differ");
	memcpy(want, p->options, p->n_options);
	if (p->ts_at >= 0)
		memcpy(want + p->ts_at, options + p->ts_at, 8);
	if (memcmp(want, options, p->n_options))
		return differ(r, e, f, "the options differ");
	return p->ts_at < 0 || check_timestamp(r, e, f, s);
}

static bool check_payload(struct run *r, const struct event *e, const struct flow *f,
                          const struct seen *s)
{
	u32 offset = s->seq + !!(s->flags & WIRE_SYN) - f->iss - 1;

	for (u32 i = 0; i < s->len && !r->spliced && f->has_iss; i++) {
		if (s->tcp[s->head + i] != run_pattern(true, offset + i))
			return differ(r, e, f, "the payload is not what was written");
	}
	return true;
}

/* Segments in a row count as the one long segment that the script wants. */
static bool collect(struct run *r, const struct event *e, struct flow *f, const struct seen *first)
{
	u32 have = first->len, seq = first->seq;
	u8 flags = first->flags;
	struct seen s = *first;

	while (have < e->packet.len && s.len && s.seq == seq + have - s.len) {
		if (!receive(r))
			return run_fail(r, e, "%u of %u bytes were sent, and no more will be", have,
			                e->packet.len);
		if (!look(r, e, f, &s))
			return false;
		if (s.seq != seq + have || !s.len || !check_payload(r, e, f, &s))
			return differ(r, e, f, "the bytes that are missing did not follow");
		flags |= s.flags;
		have += s.len;
	}
	s.seq = seq;
	if (have != e->packet.len)
		return differ(r, e, f, "the length differs");
	return check_numbers(r, e, f, &s, flags) && check_options(r, e, f, &s);
}

static bool is_pure_ack(const struct packet_spec *p)
{
	return p->flags == WIRE_ACK && !p->len && !p->icmp.is;
}

static bool check_time(struct run *r, const struct event *e)
{
	s64 from = run_event_usecs(r, e, e->usecs);
	s64 to = e->usecs_end < 0 ? from : run_event_usecs(r, e, e->usecs_end);
	s64 slack = r->script->tolerance_usecs;

	if (e->time_kind == TIME_ANY)
		return true;
	if (r->config.moves && is_pure_ack(&e->packet)) {
		slack += DELAYED_ACK_USECS;
		/* What follows in the script counts from when it should have come. */
		if (r->packet_usecs < from && run_now(r) < from)
			r->ifc.usleep(r->ifc.userdata, (useconds_t)(from - run_now(r)));
	}
	if (r->packet_usecs >= from - slack && r->packet_usecs <= to + slack)
		return true;
	return run_fail(r, e, "the packet was sent at %.6f, expected at %.6f",
	                (double)r->packet_usecs / 1e6, (double)from / 1e6);
}

/* An ACK that left because its connection moved: the script expects it later, within what comes
 * next. */
static bool is_early_ack(const struct run *r, const struct event *e, const struct seen *s)
{
	const struct packet_spec *p = &e->packet;
	u32 ack = wire_get32(s->tcp + 8);

	if (!r->config.moves || s->flags != WIRE_ACK || s->len)
		return false;
	return !is_pure_ack(p) ? !(p->flags & WIRE_ACK) || (s32)(p->ack - ack) >= 0
	                       : (s32)(p->ack - ack) > 0;
}

static bool check_icmp(struct run *r, const struct event *e, struct flow *f)
{
	struct wire_ip ip;
	const u8 *icmp;

	if (wire_ip_parse(r->packet, (u32)r->packet_len, &ip) != WIRE_OK ||
	    (ip.protocol != WIRE_IPPROTO_ICMP && ip.protocol != WIRE_IPPROTO_ICMP6))
		return differ(r, e, f, "the packet is none of ICMP");
	icmp = r->packet + ip.header_bytes;
	if (icmp[0] != e->packet.icmp.type || icmp[1] != e->packet.icmp.code)
		return differ(r, e, f, "the type or code of ICMP differs");
	return true;
}

/* An ACK that a move had made late, and that the next one has overtaken. */
static bool is_late_ack(const struct run *r, const struct event *e, const struct seen *s)
{
	const struct packet_spec *p = &e->packet;

	return r->config.moves && is_pure_ack(p) && (s32)(wire_get32(s->tcp + 8) - p->ack) > 0;
}

bool run_packet_out(struct run *r, const struct event *e)
{
	struct flow *f = e->packet.src_port ? flow_of_spec(r, e) : opening_flow(r);
	struct seen s;

	f = f ? f : flow_of_spec(r, e);
	if (!f)
		return false;
	r->flow = f;
	if (!receive(r)) {
		char want[TEXT_BYTES] = "";

		packet_describe_spec(&e->packet, want, sizeof(want));
		return run_fail(r, e, "no packet was sent, and none will be\n  expected: > %s",
		                want);
	}
	if (e->packet.icmp.is)
		return check_icmp(r, e, f) && check_time(r, e);
	if (!look(r, e, f, &s))
		return false;
	if (is_early_ack(r, e, &s))
		return run_packet_out(r, e);
	if (is_late_ack(r, e, &s)) {
		r->pushed_back = true;
		return true;
	}
	learn(f, &e->packet, &s);
	return check_ip(r, e, f, &s) && check_payload(r, e, f, &s) && collect(r, e, f, &s) &&
	       check_time(r, e);
}

bool run_packet_none_left(struct run *r, const struct event *last)
{
	s64 now = run_now(r);
	char is[TEXT_BYTES] = "";

	struct seen s;

	if (!receive(r) || r->packet_usecs > now)
		return true;
	if (r->config.moves && r->flow && look(r, last, r->flow, &s) && s.flags == WIRE_ACK &&
	    !s.len)
		return run_packet_none_left(r, last);
	if (r->flow)
		packet_describe(r->flow, r->packet, r->packet_len, is, sizeof(is));
	return run_fail(r, last,
	                "a packet was sent that the script does not expect\n  sent:     > %s", is);
}
