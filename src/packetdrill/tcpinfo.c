/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* TCP_INFO of a connection, from its state variables. What the engine does not count is 0. */
#include <errno.h>
#include <linux/tcp.h>

#include "packetdrill/socket.h"

enum { ATO_US = 40000 };

/* The kernel's numbers (include/net/tcp_states.h) of ours. */
static u8 kernel_state(u8 state)
{
	static const u8 of[TCP_STATES] = {
		[TCP_CLOSED] = 7,       [TCP_LISTEN] = 10,     [TCP_SYN_SENT] = 2,
		[TCP_SYN_RECEIVED] = 3, [TCP_ESTABLISHED] = 1, [TCP_FIN_WAIT_1] = 4,
		[TCP_FIN_WAIT_2] = 5,   [TCP_CLOSE_WAIT] = 8,  [TCP_CLOSING] = 11,
		[TCP_LAST_ACK] = 9,     [TCP_TIME_WAIT] = 6,
	};

	return of[state];
}

/* enum tcp_ca_state */
static u8 kernel_recovery(u8 recovery)
{
	static const u8 of[] = {[TCP_RECOVERY_OPEN] = 0,
	                        [TCP_RECOVERY_DISORDER] = 1,
	                        [TCP_RECOVERY_FAST] = 3,
	                        [TCP_RECOVERY_LOSS] = 4};

	return recovery < ARRAY_SIZE(of) ? of[recovery] : 0;
}

static u32 segments(u32 bytes, u32 mss)
{
	return mss ? (bytes + mss - 1) / mss : 0;
}

static u32 us(u64 ns)
{
	return (u32)(ns / NS_PER_US);
}

static u32 sacked(const struct tcp_delegated *d)
{
	u32 bytes = 0;

	for (u32 i = 0; i < d->sacked.n; i++)
		bytes += (u32)seq_diff(d->sacked.r[i].end, d->sacked.r[i].start);
	return bytes;
}

static void fill_options(const struct tcp_state *s, struct tcp_info *i)
{
	const u8 o = s->k.options;

	i->tcpi_options = (u8)((o & TCP_OPT_TIMESTAMPS ? TCPI_OPT_TIMESTAMPS : 0) |
	                       (o & TCP_OPT_SACK ? TCPI_OPT_SACK : 0) |
	                       (o & TCP_OPT_WSCALE ? TCPI_OPT_WSCALE : 0) |
	                       (o & TCP_OPT_ECN ? TCPI_OPT_ECN : 0));
	if (o & TCP_OPT_WSCALE) {
		i->tcpi_snd_wscale = s->k.snd_wscale & 15;
		i->tcpi_rcv_wscale = s->k.rcv_wscale & 15;
	}
}

static void fill(const struct tcp_state *s, u32 mtu, u32 headers, struct tcp_info *i)
{
	const struct tcp_delegated *d = &s->d;
	u32 ts = s->k.options & TCP_OPT_TIMESTAMPS ? 12 : 0;
	u32 mss = min_of(mtu - headers, (u32)s->k.peer_mss) - ts;
	u32 in_flight = (u32)seq_diff(d->snd_nxt, d->snd_una);

	if (s->c.effective_mss)
		mss = min_of(mss, s->c.effective_mss - ts);
	fill_options(s, i);
	i->tcpi_state = kernel_state(d->state);
	i->tcpi_ca_state = kernel_recovery(d->recovery);
	i->tcpi_retransmits = d->retransmit_count;
	i->tcpi_probes = d->persist_count ? d->persist_count : d->keepalive_count;
	i->tcpi_backoff = d->rto_backoff;
	i->tcpi_rto = us(d->rto_ns << min_of(d->rto_backoff, (u8)10));
	i->tcpi_ato = ATO_US;
	i->tcpi_snd_mss = mss;
	i->tcpi_advmss = mtu - headers;
	i->tcpi_pmtu = mtu;
	i->tcpi_unacked = segments(in_flight, mss);
	i->tcpi_sacked = segments(sacked(d), mss);
	i->tcpi_snd_ssthresh =
		d->ssthresh_bytes == UINT32_MAX ? 0x7fffffff : d->ssthresh_bytes / max_of(mss, 1u);
	i->tcpi_snd_cwnd = d->cwnd_bytes / max_of(mss, 1u);
	i->tcpi_rtt = us(d->srtt_ns);
	i->tcpi_rttvar = us(d->rttvar_ns);
	i->tcpi_min_rtt = d->min_rtt_ns ? us(d->min_rtt_ns) : UINT32_MAX;
	i->tcpi_last_data_sent = (u32)(d->idle_ns / NS_PER_MS);
	i->tcpi_last_data_recv = i->tcpi_last_ack_recv = (u32)(d->rcv_idle_ns / NS_PER_MS);
	i->tcpi_notsent_bytes = d->send.len > in_flight ? d->send.len - in_flight : 0;
	i->tcpi_pacing_rate = d->pacing_rate ? d->pacing_rate : UINT64_MAX;
	i->tcpi_max_pacing_rate = UINT64_MAX;
	i->tcpi_snd_wnd = d->snd_wnd;
}

int sock_tcp_info(struct sockets *t, struct sock *s, void *value, socklen_t *len)
{
	const struct stack_config *c = &t->stack.config;
	struct tcp_info info = {.tcpi_state = kernel_state(TCP_CLOSED)};
	struct tcp_state state;
	u32 headers = ip_addr_is_v4(&c->local) ? 40 : 60;

	if (s->kind == SOCK_LISTEN)
		info.tcpi_state = kernel_state(TCP_LISTEN);
	if (s->kind == SOCK_CONN && stack_look(&t->stack, s->soft, s->host, &state))
		fill(&state, c->mtu, headers, &info);
	*len = min_of(*len, (socklen_t)sizeof(info));
	memcpy(value, &info, *len);
	return 0;
}
