/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "unit.h"

#include <sys/mman.h>

#include "tcp_script.h"

static const struct ip_addr local = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}};
static const struct ip_addr remote = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2}};

/* Not malloc(): what is not touched costs nothing. */
static void *map(size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(mem, MAP_FAILED);
	return mem;
}

void script_init(struct script *s)
{
	struct neighbor_state neighbor = {.k.source_mac = {{2}}, .c.next_hop_mac = {{4}}};
	struct path_state path = {
		.k.local_addr = local,
		.k.remote_addr = remote,
		.c.path_mtu = 1500,
	};
	struct tcp_delegated *d = &s->state.d;

	memset(s, 0, sizeof(*s));
	s->start_ns = 5000 * NS_PER_S;
	s->pool_config = (struct buf_pool_config){1024, 16};
	s->pool_mem = map(buf_pool_bytes(&s->pool_config));
	buf_pool_init(&s->pool, s->pool_mem, &s->pool_config);
	s->config = (struct tcp_engine_config){
		.max_connections = 8,
		.max_paths = 4,
		.max_neighbors = 4,
		.ports[0].tx_csum = true,
	};
	s->arena = aligned_alloc(4096, tcp_engine_arena_bytes(&s->config));
	memset(s->arena, 0x5a, tcp_engine_arena_bytes(&s->config));
	s->e = aligned_alloc(64, (tcp_engine_bytes() + 63) & ~(size_t)63);
	tcp_engine_init(s->e, s->arena, &s->config, &s->pool);
	tcp_timers(s->e, s->start_ns);
	assert_int_equal(tcp_neighbor_add(s->e, &neighbor, &s->neighbor), 0);
	assert_int_equal(tcp_path_add(s->e, &path, s->neighbor, &s->path), 0);

	s->state.k.local_port = SCRIPT_LOCAL_PORT;
	s->state.k.remote_port = SCRIPT_REMOTE_PORT;
	s->state.k.peer_mss = SCRIPT_MSS;
	s->state.k.iss = seq_of(SCRIPT_ISS - 1);
	s->state.k.irs = seq_of(SCRIPT_IRS - 1);
	s->state.c.nodelay = 1;
	s->state.c.rcv_buf_bytes = SCRIPT_WND;
	s->state.c.snd_buf_bytes = 1 << 20;
	d->state = TCP_ESTABLISHED;
	d->rcv_nxt = d->rcv_up = d->last_ack_sent = seq_of(SCRIPT_IRS);
	d->rcv_wnd = SCRIPT_WND;
	d->rcv_adv = seq_of(SCRIPT_IRS + SCRIPT_WND);
	d->snd_una = d->snd_nxt = d->snd_max = d->snd_up = seq_of(SCRIPT_ISS);
	d->recovery_point = d->high_rxt = seq_of(SCRIPT_ISS - 1);
	d->snd_wnd = d->max_snd_wnd = SCRIPT_WND;
	d->snd_wl1 = seq_of(SCRIPT_IRS);
	d->snd_wl2 = seq_of(SCRIPT_ISS);
	d->cwnd_bytes = 10 * SCRIPT_MSS;
	d->ssthresh_bytes = UINT32_MAX;
	d->srtt_ns = 100 * NS_PER_MS;
	d->rttvar_ns = 50 * NS_PER_MS;
	d->rto_ns = 300 * NS_PER_MS;
	d->send.buf = d->recv.buf = NIL;
	d->retransmit_left_ns = d->persist_left_ns = d->keepalive_left_ns = TIMER_STOPPED;
	d->fin_wait2_left_ns = d->delayed_ack_left_ns = TIMER_STOPPED;
}

void script_start(struct script *s)
{
	assert_int_equal(tcp_conn_import(s->e, &s->state, s->path, s->e->now_ns, &s->conn), 0);
}

void script_begin(struct script *s, u8 options)
{
	script_init(s);
	s->state.k.options = options;
	if (options & TCP_OPT_TIMESTAMPS) {
		s->state.k.peer_mss = SCRIPT_MSS + 12;
		s->state.d.ts_recent = 1000;
	}
	script_start(s);
}

void script_discard(struct script *s)
{
	free(s->e);
	free(s->arena);
	munmap(s->pool_mem, buf_pool_bytes(&s->pool_config));
}

void script_end(struct script *s)
{
	tcp_conn_free(s->e, s->conn);
	assert_int_equal(tcp_path_remove(s->e, s->path), 0);
	assert_int_equal(tcp_neighbor_remove(s->e, s->neighbor), 0);
	assert_int_equal(s->pool.n_free[BUF_SMALL], s->pool_config.small);
	assert_int_equal(s->pool.n_free[BUF_LARGE], s->pool_config.large);
	script_discard(s);
}

struct tcp_conn *script_conn(struct script *s)
{
	return conn_at(s->e, s->conn);
}

void script_at(struct script *s, u64 at_ns)
{
	tcp_timers(s->e, s->start_ns + at_ns);
}

static void put16(u8 *p, u32 v)
{
	p[0] = (u8)(v >> 8);
	p[1] = (u8)v;
}

static void put_ip(u8 *ip, u8 ecn, u32 total)
{
	be16 sum;

	memset(ip, 0, 20);
	ip[0] = 0x45;
	ip[1] = ecn;
	put16(ip + 2, total);
	ip[8] = 64;
	ip[9] = WIRE_IPPROTO_TCP;
	memcpy(ip + 12, remote.b + 12, 4);
	memcpy(ip + 16, local.b + 12, 4);
	sum = csum_finish(csum_bytes(0, ip, 20));
	memcpy(ip + 10, &sum, 2);
}

u32 script_build(struct script *s, const struct peer *p, u8 *to)
{
	const struct tcp_conn *c = script_conn(s);
	struct wire_tcp t = {
		.src_port = SCRIPT_REMOTE_PORT,
		.dst_port = SCRIPT_LOCAL_PORT,
		.seq = seq_of(SCRIPT_IRS + p->seq),
		.ack = seq_of(SCRIPT_ISS + p->ack),
		.wnd = p->zero_wnd ? 0
	               : p->wnd    ? (u16)p->wnd
	                           : SCRIPT_WND,
		.urg = p->urg,
		.flags = p->flags ? p->flags : WIRE_ACK,
	};
	u8 *tcp = to + 34;
	u32 header;
	be16 sum;

	if ((c->options & TCP_OPT_TIMESTAMPS) && !p->no_ts) {
		t.options.present |= WIRE_OPT_TIMESTAMPS;
		t.options.ts_val = p->ts_val ? p->ts_val : c->ts_recent;
		t.options.ts_ecr = p->ts_ecr ? p->ts_ecr : conn_ts_now(s->e, c);
	}
	if (p->n_sack)
		t.options.present |= WIRE_OPT_SACK;
	t.options.n_sack = (u8)p->n_sack;
	for (u32 i = 0; i < p->n_sack; i++)
		t.options.sack[i] = (struct wire_sack){seq_of(SCRIPT_ISS + p->sack[i][0]),
		                                       seq_of(SCRIPT_ISS + p->sack[i][1])};
	memset(to, 0, 14);
	put16(to + 12, 0x0800);
	header = wire_tcp_write(tcp, &t);
	put_ip(to + 14, p->ecn, 20 + header + p->len);
	for (u32 i = 0; i < p->len; i++)
		tcp[header + i] = (u8)(p->seq + i);
	memset(tcp + 16, 0, 2);
	sum = csum_finish(
		csum_bytes(csum_pseudo(&remote, &local, WIRE_IPPROTO_TCP, header + p->len), tcp,
	                   header + p->len));
	memcpy(tcp + 16, &sum, 2);
	return 34 + header + p->len;
}

static u32 to_chain(struct script *s, const u8 *bytes, u32 len)
{
	u32 head = buf_alloc(&s->pool, BUF_SMALL), rest = NIL;
	u32 n = min_of(len, (u32)BUF_SMALL_BYTES);

	assert_int_not_equal(head, NIL);
	memcpy(buf_bytes(&s->pool, head), bytes, n);
	buf_at(&s->pool, head)->len = n;
	if (n < len) {
		rest = buf_alloc(&s->pool, BUF_LARGE);
		assert_int_not_equal(rest, NIL);
		memcpy(buf_bytes(&s->pool, rest), bytes + n, len - n);
		buf_at(&s->pool, rest)->len = len - n;
		buf_at(&s->pool, head)->next = rest;
	}
	return head;
}

static u8 input(struct script *s, const u8 *bytes, u32 len, u8 csum, u16 gso_bytes)
{
	struct rx_frame f = {.len = len, .csum = csum, .gso_bytes = gso_bytes};

	f.buf = to_chain(s, bytes, len);
	tcp_input(s->e, &f, 1, s->e->now_ns);
	s->verdict = f.verdict;
	s->reason = f.reason;
	assert_int_not_equal(f.verdict, FRAME_PENDING);
	if (f.verdict != FRAME_CONSUMED)
		buf_put_chain(&s->pool, f.buf);
	return f.verdict;
}

u8 script_frame(struct script *s, const u8 *bytes, u32 len, u8 csum)
{
	return input(s, bytes, len, csum, 0);
}

void script_in(struct script *s, struct peer p)
{
	static u8 bytes[65536];

	input(s, bytes, script_build(s, &p, bytes), FRAME_CSUM_UNKNOWN, p.gso_bytes);
}

u32 script_flush(struct script *s)
{
	struct tx_batch tx = {s->tx, 0, SCRIPT_TX};

	assert_false(tcp_flush(s->e, s->e->now_ns, &tx));
	s->n_tx = tx.n;
	for (u32 i = 0; i < tx.n; i++) {
		const struct tx_frame *f = &s->tx[i];

		assert_int_equal(wire_parse_tcp(f->header + f->header_off, f->header_len,
		                                tx_frame_len(f), &s->out[i]),
		                 WIRE_OK);
		s->out_seq[i] = s->out[i].seq.n - SCRIPT_ISS;
		s->out_ack[i] = s->out[i].ack.n - SCRIPT_IRS;
	}
	return tx.n;
}

void script_send(struct script *s, u32 len)
{
	static u8 bytes[1 << 18];

	assert_int_equal(tcp_send(s->e, s->conn, bytes, len), len);
}

u32 script_events(struct script *s)
{
	struct tcp_event ev[4];
	u32 n, events = 0;

	while ((n = tcp_events(s->e, ev, 4)))
		for (u32 i = 0; i < n; i++)
			events |= ev[i].conn == s->conn ? ev[i].events : 0;
	return events;
}

u64 script_dropped(struct script *s, u32 reason)
{
	return tcp_engine_counters(s->e)->reasons[reason];
}
