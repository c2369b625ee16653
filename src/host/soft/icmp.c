/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * ICMP and ICMPv6 in. An error says something only when it quotes a segment that is on its way
 * (RFC 5927 4.1), and then no more than this: a path may be too narrow, an opening may be hopeless
 * (hard errors, RFC 1122 4.2.3.9), everything else is advice (RFC 5927 5.2, RFC 5461).
 */
#include <errno.h>

#include "host/soft/priv.h"
#include "tcp/pmtu.h"

/* -- errors ------------------------------------------------------------------------------------ */

struct meaning {
	u8 error; /* errno */
	bool hard;
};

/* RFC 1122 4.2.3.9 with RFC 792's codes; RFC 4443 3.1 with its own. */
static struct meaning meaning_of(const struct wire_ip *ip, const struct wire_icmp *icmp)
{
	bool v4 = ip->version == 4;

	if (icmp->kind == WIRE_ICMP_PARAMETER_PROBLEM)
		return (struct meaning){EPROTO, !v4 && icmp->code == 1};
	if (icmp->kind == WIRE_ICMP_TIME_EXCEEDED)
		return (struct meaning){EHOSTUNREACH, false};
	switch (icmp->code) {
	case 0:
		return (struct meaning){ENETUNREACH, false};
	case 2:
		return (struct meaning){v4 ? ENOPROTOOPT : EHOSTUNREACH, v4};
	case 3:
		return (struct meaning){v4 ? ECONNREFUSED : EHOSTUNREACH, v4};
	case 4:
		return (struct meaning){ECONNREFUSED, !v4};
	default:
		return (struct meaning){EHOSTUNREACH, false};
	}
}

static bool is_in_flight(const struct tcp_state *state, tcp_seq seq)
{
	return seq_leq(state->d.snd_una, seq) && seq_lt(seq, state->d.snd_max);
}

static void act(struct soft *s, struct soft_conn *c, const struct wire_ip *ip,
                const struct wire_icmp *icmp)
{
	struct meaning m = meaning_of(ip, icmp);
	u8 state = tcp_conn_state(s->engine, c->eng);

	if (icmp->kind == WIRE_ICMP_TOO_BIG) {
		/* Each connection once, whichever error lowered the path. */
		(void)pmtu_too_big(s, &s->route[c->route], icmp->mtu);
		tcp_conn_resend_big(s->engine, c->eng, s->now_ns);
		return;
	}
	c->soft_error = m.error;
	if (!m.hard || (state != TCP_SYN_SENT && state != TCP_SYN_RECEIVED))
		return;
	s->counters.icmp_aborts++;
	soft_end(s, c, TCP_EV_RESET);
}

/* Not here: a device has it, and the host asks what is on its way. */
static void remember(struct soft *s, const struct wire_ip *ip, const struct wire_icmp *icmp)
{
	if (!s->host || s->n_errors == SOFT_ERRORS)
		return;
	s->error[s->n_errors++] = (struct soft_icmp_error){
		.flow = icmp->flow,
		.seq = icmp->seq,
		.mtu = icmp->mtu,
		.too_big = icmp->kind == WIRE_ICMP_TOO_BIG,
		.error = (u8)meaning_of(ip, icmp).error,
	};
}

/* What the path does not take is sent again at once, by whoever has the connection. */
static void path_too_big(struct soft *s, handle conn, struct tcp_state *state,
                         const struct soft_icmp_error *e)
{
	struct soft_route_entry *r = soft_find_route(s, &e->flow.remote);

	if (!r || (!pmtu_too_big(s, r, e->mtu) && e->mtu > r->mtu))
		return;
	pmtu_tell_host(s); /* the path first: then its connection finds what is too big */
	state->c.restart_retransmit = 1;
	(void)!host_conn_settings(s->host, conn, &state->c);
}

static void error_input(struct soft *s, const struct wire_ip *ip, const struct wire_icmp *icmp)
{
	struct soft_conn *c = icmp->has_flow ? soft_find_flow(s, &icmp->flow) : NULL;
	struct tcp_state state;

	s->counters.icmp_errors++;
	if (!c || c->frozen) {
		s->counters.icmp_unproven++;
		return;
	}
	if (c->eng == NIL) {
		remember(s, ip, icmp);
		return;
	}
	tcp_conn_export(s->engine, c->eng, s->now_ns, &state);
	if (!is_in_flight(&state, icmp->seq)) {
		s->counters.icmp_unproven++;
		return;
	}
	act(s, c, ip, icmp);
}

void icmp_tell_host(struct soft *s)
{
	u32 n = s->n_errors;
	struct tcp_state state;

	s->n_errors = 0;
	for (u32 i = 0; i < n; i++) {
		const struct soft_icmp_error *e = &s->error[i];
		struct soft_conn *c = soft_find_flow(s, &e->flow);
		handle conn = host_find(s->host, &e->flow);

		if (!c || conn == HANDLE_NONE || host_query(s->host, conn, &state) ||
		    !is_in_flight(&state, e->seq))
			s->counters.icmp_unproven++;
		else if (e->too_big)
			path_too_big(s, conn, &state, e);
		else
			c->soft_error = e->error;
	}
}

/* -- echo -------------------------------------------------------------------------------------- */

/* RFC 1122 3.2.2.6, RFC 4443 4.2: what was asked comes back, from the address that was asked. */
static void echo_input(struct soft *s, const struct wire_ip *ip, struct wire_icmp *icmp, u8 *p)
{
	const struct wire_ip back = {.version = ip->version, .src = ip->dst, .dst = ip->src};
	struct soft_datagram d = {
		.src = ip->dst, .dst = ip->src, .protocol = ip->protocol, .bytes = p};

	if (!soft_is_local(s, &ip->dst)) {
		s->counters.strays++; /* to a group: RFC 1122 3.2.2.6 MAY be ignored */
		return;
	}
	icmp->kind = WIRE_ICMP_ECHO_REPLY;
	d.len = wire_icmp_write(p, &back, icmp); /* in place */
	if (soft_send_datagram(s, &d))
		s->counters.echo_requests++;
}

int soft_ping(struct soft *s, const struct ip_addr *remote, u16 id, u16 seq, u32 bytes)
{
	const struct ip_addr *local = soft_local_for(s, remote);
	const struct soft_route_entry *r = local ? soft_way(s, remote) : NULL;
	struct wire_icmp icmp = {.kind = WIRE_ICMP_ECHO_REQUEST, .echo_id = id, .echo_seq = seq};
	bool v4 = ip_addr_is_v4(remote);
	struct wire_ip ip = {.version = v4 ? 4 : 6, .dst = *remote};
	struct soft_datagram d = {.dst = *remote, .bytes = s->scratch};

	if (!r)
		return -ENOENT;
	if (bytes > UINT16_MAX - WIRE_IP4_BYTES - WIRE_ICMP_BYTES)
		return -EMSGSIZE;
	ip.src = d.src = *local;
	d.protocol = v4 ? WIRE_IPPROTO_ICMP : WIRE_IPPROTO_ICMP6;
	for (u32 i = 0; i < bytes; i++)
		s->scratch[WIRE_ICMP_BYTES + i] = (u8)i;
	icmp.data = s->scratch + WIRE_ICMP_BYTES;
	icmp.data_bytes = bytes;
	d.len = wire_icmp_write(s->scratch, &ip, &icmp);
	return soft_send_datagram(s, &d) ? 0 : -ENOBUFS;
}

void icmp_input(struct soft *s, const struct wire_ip *ip, u8 *p, u32 len)
{
	struct wire_icmp icmp;

	switch (wire_icmp_parse(ip, p, len, &icmp)) {
	case WIRE_OK:
		break;
	case WIRE_ICMP_TYPE:
		s->counters.strays++;
		return;
	default:
		s->counters.bad_frames++;
		return;
	}
	if (icmp.kind == WIRE_ICMP_ECHO_REQUEST)
		echo_input(s, ip, &icmp, p);
	else if (icmp.kind == WIRE_ICMP_ECHO_REPLY)
		s->counters.echo_replies++;
	else
		error_input(s, ip, &icmp);
}
