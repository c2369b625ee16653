/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* States of the objects that the tests of the target offload, and the bytes of their streams. */
#ifndef TARGET_STATES_H
#define TARGET_STATES_H

#include "unit.h"

#include "state/state.h"
#include "tcp/engine.h"

static inline struct ip_addr addr_v4(u8 a, u8 b, u8 c, u8 d)
{
	return (struct ip_addr){.b = {[10] = 0xff, [11] = 0xff, a, b, c, d}};
}

static inline void state_neighbor(struct neighbor_state *s, u32 i)
{
	*s = (struct neighbor_state){
		.k.source_mac.b = {2, 0, 0, 0, 0, 1},
		.k.encapsulations = 1 << LINK_DIX,
		.c.next_hop_mac.b = {2, 1, 0, 0, (u8)(i >> 8), (u8)i},
	};
}

static inline void state_path(struct path_state *s, u32 i)
{
	*s = (struct path_state){
		.k.local_addr = addr_v4(10, 0, 0, 1),
		.k.remote_addr = addr_v4(10, 1, (u8)(i >> 8), (u8)i),
		.c.path_mtu = 1500,
	};
}

static inline void state_tcp(struct tcp_state *s, u32 i)
{
	memset(s, 0, sizeof(*s));
	s->k = (struct tcp_const){
		.local_port = (u16)(1024 + i % 60000),
		.remote_port = 80,
		.options = TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE,
		.snd_wscale = 7,
		.rcv_wscale = 7,
		.peer_mss = 1460,
		.iss = {1000 + i},
		.irs = {500000 + i},
	};
	s->c = (struct tcp_cached){
		.nodelay = 1,
		.rcv_buf_bytes = 65536,
		.snd_buf_bytes = 65536,
		.max_retransmit_ns = 924 * NS_PER_S,
		.fin_wait2_ns = 60 * NS_PER_S,
		.hop_limit = 64,
		.cc_algorithm = TCP_CC_CUBIC,
	};
	s->d.state = TCP_ESTABLISHED;
	s->d.snd_una = s->d.snd_nxt = s->d.snd_max = seq_of(s->k.iss.n + 1);
	s->d.snd_wl2 = s->d.snd_up = s->d.recovery_point = s->d.snd_una;
	s->d.rcv_nxt = s->d.rcv_up = s->d.last_ack_sent = s->d.snd_wl1 = seq_of(s->k.irs.n + 1);
	s->d.rcv_wnd = 65536;
	s->d.rcv_adv = seq_add(s->d.rcv_nxt, 65536);
	s->d.snd_wnd = s->d.max_snd_wnd = 65536;
	s->d.cwnd_bytes = 14480;
	s->d.ssthresh_bytes = UINT32_MAX;
	s->d.srtt_ns = NS_PER_MS;
	s->d.rttvar_ns = NS_PER_MS / 2;
	s->d.min_rtt_ns = NS_PER_MS;
	s->d.rto_ns = 200 * NS_PER_MS;
	s->d.cc.type = TCP_CC_CUBIC;
	s->d.retransmit_left_ns = s->d.persist_left_ns = s->d.keepalive_left_ns = TIMER_STOPPED;
	s->d.fin_wait2_left_ns = s->d.delayed_ack_left_ns = TIMER_STOPPED;
	s->d.send.buf = s->d.recv.buf = NIL;
}

/* The same connection as its peer has it. */
static inline void state_tcp_peer(struct tcp_state *s, u32 i)
{
	struct tcp_const k;

	state_tcp(s, i);
	k = s->k;
	s->k.local_port = k.remote_port;
	s->k.remote_port = k.local_port;
	s->k.iss = k.irs;
	s->k.irs = k.iss;
	s->d.snd_una = s->d.snd_nxt = s->d.snd_max = seq_of(s->k.iss.n + 1);
	s->d.snd_wl2 = s->d.snd_up = s->d.recovery_point = s->d.snd_una;
	s->d.rcv_nxt = s->d.rcv_up = s->d.last_ack_sent = s->d.snd_wl1 = seq_of(s->k.irs.n + 1);
	s->d.rcv_adv = seq_add(s->d.rcv_nxt, 65536);
}

/* Byte i of every stream of the tests. */
static inline u8 stream_byte(u64 i)
{
	return (u8)(i * 31 + (i >> 8) * 7 + 3);
}

static inline void stream_fill(u8 *to, u64 from, u32 len)
{
	for (u32 i = 0; i < len; i++)
		to[i] = stream_byte(from + i);
}

static inline void stream_check(const u8 *at, u64 from, u32 len)
{
	for (u32 i = 0; i < len; i++) {
		if (at[i] != stream_byte(from + i))
			fail_msg("byte %llu is wrong", (unsigned long long)(from + i));
	}
}

#endif
