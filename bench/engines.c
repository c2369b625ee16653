/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "engines.h"

#include <errno.h>
#include <stdlib.h>

#include "harness.h"

enum {
	SERVER_PORT = 7,
	FIRST_PORT = 1024,
	RING_FRAMES = 32768,
	MTU = 1500,
	BULK_WRITE = 65536,
	BULK_WINDOW = 262144, /* in flight: fits the cache, four times what lwIP has */
	SETTLE_CYCLES = 1000000,
};

static struct ip_addr address(u32 last)
{
	return (struct ip_addr){{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 77, 0, (u8)last}};
}

static void fill_port_caps(struct port *port, struct tcp_port_caps *caps)
{
	struct port_info info;

	port->ops->info(port, &info);
	caps->gso_max_bytes = info.gso_max_bytes;
	caps->tx_csum = info.tx_csum;
	caps->rx_trusted = info.rx_trusted;
}

static void *pages(size_t bytes)
{
	void *mem = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);

	if (mem)
		memset(mem, 0, bytes);
	return mem;
}

static int add_path(struct engine_end *end, u32 number)
{
	struct neighbor_state neighbor = {0};
	struct path_state path = {0};
	u32 index;
	int err;

	neighbor.k.source_mac = (struct mac_addr){{2, 0, 0, 0, 0, (u8)(1 + number)}};
	neighbor.c.next_hop_mac = (struct mac_addr){{2, 0, 0, 0, 0, (u8)(2 - number)}};
	path.k.local_addr = address(1 + number);
	path.k.remote_addr = address(2 - number);
	path.c.path_mtu = MTU;
	err = tcp_neighbor_add(end->engine, &neighbor, &index);
	return err ? err : tcp_path_add(end->engine, &path, index, &end->path);
}

static int make_pools(struct engines *es)
{
	u32 n = es->config.n;
	struct buf_pool_config config = {.small = 4 * n + 8192, .large = n == 1 ? 512 : 8};

	for (u32 i = 0; i < ENGINE_ENDS; i++) {
		es->end[i].pool_mem = pages(buf_pool_bytes(&config));
		if (!es->end[i].pool_mem)
			return -ENOMEM;
		buf_pool_init(&es->end[i].pool, es->end[i].pool_mem, &config);
	}
	return 0;
}

static int make_pair(struct engines *es)
{
	struct port_pair_config config = {.ring_frames = RING_FRAMES,
	                                  .mtu_bytes = MTU,
	                                  .gso_max_bytes = es->config.gso_max_bytes,
	                                  .no_tx_csum = es->config.software_csum};
	struct buf_pool *pools[2] = {&es->end[0].pool, &es->end[1].pool};

	es->pair_mem = pages(port_pair_bytes(&config));
	if (!es->pair_mem)
		return -ENOMEM;
	es->pair = port_pair_init(es->pair_mem, &config, pools);
	return 0;
}

static int make_end(struct engines *es, u32 number)
{
	struct engine_end *end = &es->end[number];
	struct tcp_engine_config config = {.max_connections = es->config.n,
	                                   .max_paths = 4,
	                                   .max_neighbors = 4,
	                                   .hash_key = {1, 2, 3, 4, 5, 6, 7, 8},
	                                   .seed = 1 + number};

	end->port = port_pair_end(es->pair, number);
	fill_port_caps(end->port, &config.ports[0]);
	end->arena = pages(tcp_engine_arena_bytes(&config));
	end->engine = pages(tcp_engine_bytes());
	end->conns = calloc(es->config.n, sizeof(u32));
	if (!end->arena || !end->engine || !end->conns)
		return -ENOMEM;
	tcp_engine_init(end->engine, end->arena, &config, &end->pool);
	return add_path(end, number);
}

static struct tcp_open_params open_params(const struct engines *es, u32 number, u32 client)
{
	u32 client_port = FIRST_PORT + client;
	bool serves = number == ENGINE_SERVER;
	struct tcp_open_params p = {
		.path = es->end[number].path,
		.local_port = (u16)(serves ? SERVER_PORT : client_port),
		.remote_port = (u16)(serves ? client_port : SERVER_PORT),
		.options = TCP_OPT_SACK | TCP_OPT_WSCALE |
	                   (es->config.timestamps ? TCP_OPT_TIMESTAMPS : 0),
		.rcv_wscale = 7,
		.mss = MTU - 40,
		.settings = {.nodelay = 1,
	                     .rcv_buf_bytes = es->config.n == 1 ? BULK_WINDOW : 65536,
	                     .snd_buf_bytes = es->config.n == 1 ? BULK_WINDOW : 65536,
	                     .max_retransmit_ns = 100 * NS_PER_S,
	                     .fin_wait2_ns = 60 * NS_PER_S,
	                     .hop_limit = 64,
	                     .cc_algorithm = TCP_CC_CUBIC},
	};

	return p;
}

/* A frame that the engine did not take: a SYN opens a connection, anything else is counted. */
static void give_back(struct engines *es, u32 number, const struct rx_frame *frame)
{
	struct engine_end *end = &es->end[number];
	struct tcp_open_params params = open_params(es, number, end->n_conns);
	u32 conn;

	if (number == ENGINE_SERVER && frame->verdict == FRAME_TO_HOST &&
	    end->n_conns < es->config.n &&
	    tcp_open_passive(end->engine, frame, &params, es->now_ns, &conn) == 0)
		end->conns[end->n_conns++] = conn;
	else
		end->not_consumed++;
	buf_put_chain(&end->pool, frame->buf);
}

static u32 receive(struct engines *es, u32 number)
{
	struct engine_end *end = &es->end[number];
	struct rx_frame frames[ENGINE_BATCH];
	int n = end->port->ops->receive(end->port, frames, ENGINE_BATCH);

	if (n <= 0)
		return 0;
	for (int i = 0; i < n; i++)
		frames[i].port = 0;
	tcp_input(end->engine, frames, (u32)n, es->now_ns);
	for (int i = 0; i < n; i++)
		if (unlikely(frames[i].verdict != FRAME_CONSUMED))
			give_back(es, number, &frames[i]);
	return (u32)n;
}

static void swallow(struct engines *es, struct engine_end *end, u32 conn)
{
	static u8 to[BULK_WRITE];
	s64 n;

	if (es->config.in_place) {
		u32 len = tcp_recv_pending(end->engine, conn);

		tcp_recv_skip(end->engine, conn, len);
		end->bytes += len;
		return;
	}
	while ((n = tcp_recv(end->engine, conn, to, sizeof(to))) > 0)
		end->bytes += (u64)n;
}

static void serve(struct engines *es, u32 conn)
{
	struct engine_end *end = &es->end[ENGINE_SERVER];
	u8 message[4096];
	s64 n;

	if (!es->config.echo) {
		swallow(es, end, conn);
		return;
	}
	n = tcp_recv(end->engine, conn, message, sizeof(message));
	if (n > 0 && tcp_send(end->engine, conn, message, (u32)n) != n)
		end->not_consumed++;
	end->bytes += n > 0 ? (u64)n : 0;
}

static void request(struct engine_end *end, u32 conn)
{
	static const u8 message[ENGINE_MSG_BYTES] = "request";

	if (tcp_send(end->engine, conn, message, sizeof(message)) != sizeof(message))
		end->not_consumed++;
	end->outstanding++;
}

static void write_bulk(struct engine_end *end)
{
	static const u8 bytes[BULK_WRITE];

	while (end->running && tcp_send_room(end->engine, end->conns[0]) >= sizeof(bytes))
		if (tcp_send(end->engine, end->conns[0], bytes, sizeof(bytes)) <= 0)
			return;
}

static void consume(struct engines *es, u32 conn)
{
	struct engine_end *end = &es->end[ENGINE_CLIENT];
	u8 answer[4096];
	s64 n = tcp_recv(end->engine, conn, answer, sizeof(answer));

	if (n <= 0)
		return;
	end->bytes += (u64)n;
	end->messages += (u64)n / ENGINE_MSG_BYTES;
	end->outstanding -= (u32)n / ENGINE_MSG_BYTES;
	if (end->running)
		request(end, conn);
}

static void react(struct engines *es, u32 number)
{
	struct engine_end *end = &es->end[number];
	struct tcp_event events[ENGINE_BATCH];
	u32 n = tcp_events(end->engine, events, ENGINE_BATCH);

	for (u32 i = 0; i < n; i++) {
		if (events[i].events & TCP_EV_ESTABLISHED)
			end->established++;
		if (events[i].events & (TCP_EV_RESET | TCP_EV_TIMEOUT | TCP_EV_CLOSED))
			end->not_consumed++;
		if (number == ENGINE_SERVER && (events[i].events & TCP_EV_READABLE))
			serve(es, events[i].conn);
		else if (es->config.echo && (events[i].events & TCP_EV_READABLE))
			consume(es, events[i].conn);
		else if (number == ENGINE_CLIENT && (events[i].events & TCP_EV_ACKED))
			write_bulk(end);
	}
}

static void flush(struct engines *es, u32 number)
{
	struct engine_end *end = &es->end[number];
	bool more = true;

	while (more || end->tx_n) {
		struct tx_batch tx = {end->tx, end->tx_n, ENGINE_BATCH};
		int taken;

		more = tcp_flush(end->engine, es->now_ns, &tx);
		taken = tx.n ? end->port->ops->transmit(end->port, tx.frames, tx.n) : 0;
		end->tx_n = tx.n - (u32)taken;
		if (end->tx_n) {
			memmove(end->tx, end->tx + taken, end->tx_n * sizeof(end->tx[0]));
			return; /* the wire is full: the other end reads first */
		}
	}
}

static u32 cycle_end(struct engines *es, u32 number)
{
	struct engine_end *end = &es->end[number];
	u32 n;

	es->now_ns = bench_now_ns();
	n = receive(es, number);
	if (tcp_next_deadline(end->engine) <= es->now_ns)
		tcp_timers(end->engine, es->now_ns);
	react(es, number);
	flush(es, number);
	return n;
}

u32 engines_cycle(struct engines *es)
{
	return cycle_end(es, ENGINE_SERVER) + cycle_end(es, ENGINE_CLIENT);
}

void engines_settle(struct engines *es)
{
	u32 idle = 0;

	for (u32 i = 0; i < SETTLE_CYCLES && idle < 4; i++)
		idle = engines_cycle(es) ? 0 : idle + 1;
}

void engines_idle(struct engines *es, u64 ns)
{
	u64 end = bench_now_ns() + ns;

	do
		engines_cycle(es);
	while (es->now_ns < end);
}

static int connect_all(struct engines *es)
{
	struct engine_end *client = &es->end[ENGINE_CLIENT];
	int err = 0;

	for (u32 i = 0; err == 0 && i < es->config.n; i++) {
		struct tcp_open_params params = open_params(es, ENGINE_CLIENT, i);

		es->now_ns = bench_now_ns();
		err = tcp_open(client->engine, &params, es->now_ns, &client->conns[i]);
		client->n_conns++;
		engines_settle(es);
	}
	if (err)
		return err;
	return client->established == es->config.n &&
	                       es->end[ENGINE_SERVER].established == es->config.n &&
	                       client->not_consumed + es->end[ENGINE_SERVER].not_consumed == 0
	               ? 0
	               : -EIO;
}

int engines_open(struct engines *es, const struct engines_config *config)
{
	int err;

	*es = (struct engines){.config = *config};
	err = make_pools(es);
	if (err == 0)
		err = make_pair(es);
	for (u32 i = 0; err == 0 && i < ENGINE_ENDS; i++)
		err = make_end(es, i);
	return err ? err : connect_all(es);
}

void engines_close(struct engines *es)
{
	for (u32 i = 0; i < ENGINE_ENDS; i++) {
		free(es->end[i].engine);
		free(es->end[i].arena);
		free(es->end[i].conns);
		free(es->end[i].pool_mem);
	}
	free(es->pair_mem);
}

static int run_for(struct engines *es, u64 ns, u64 *ret_ns)
{
	u64 start = bench_now_ns(), cpu = bench_cpu_ns();

	do
		engines_cycle(es);
	while (es->now_ns < start + ns);
	*ret_ns = bench_cpu_ns() - cpu;
	return es->end[0].not_consumed + es->end[1].not_consumed ? -EIO : 0;
}

int engines_rr(struct engines *es, u64 ns, u64 *ret_count, u64 *ret_ns)
{
	struct engine_end *client = &es->end[ENGINE_CLIENT];
	u64 before = client->messages;
	int err;

	client->running = true;
	for (u32 i = 0; i < client->n_conns; i++)
		request(client, client->conns[i]);
	err = run_for(es, ns, ret_ns);
	*ret_count = client->messages - before;
	client->running = false;
	engines_settle(es);
	return err ? err : client->outstanding ? -EIO : 0;
}

int engines_bulk(struct engines *es, u64 ns, u64 *ret_count, u64 *ret_ns)
{
	struct engine_end *client = &es->end[ENGINE_CLIENT];
	u64 before = es->end[ENGINE_SERVER].bytes;
	int err;

	client->running = true;
	write_bulk(client);
	err = run_for(es, ns, ret_ns);
	*ret_count = es->end[ENGINE_SERVER].bytes - before;
	client->running = false;
	engines_settle(es);
	return err;
}

int engines_template(struct engines_template *ret)
{
	enum { SETTLE_NS = 100000000 };
	struct engines_config config = {.n = 1, .timestamps = true, .echo = true};
	struct engines *es = calloc(1, sizeof(*es));
	struct engine_end *end;
	u32 neighbor;
	int err;

	if (!es)
		return -ENOMEM;
	err = engines_open(es, &config);
	if (err) {
		free(es);
		return err;
	}
	engines_idle(es, SETTLE_NS);
	end = &es->end[ENGINE_SERVER];
	ret->now_ns = es->now_ns;
	tcp_conn_export(end->engine, end->conns[0], es->now_ns, &ret->conn);
	tcp_path_export(end->engine, end->path, &ret->path);
	neighbor = tcp_path_neighbor(end->engine, end->path);
	tcp_neighbor_export(end->engine, neighbor, es->now_ns, &ret->neighbor);
	engines_close(es);
	free(es);
	return 0;
}
