// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * A team of up to four software targets over one pool, one peer at the other end of all links. The
 * host side writes down what it is told; streams are checked byte by byte.
 */
#include "target_streams.h"

#include "base/prng.h"
#include "driver/team/team.h"

enum { MEMBERS = 4, EVENTS = 4096 };

struct crew {
	struct world *w; /* its device is the team; its own target has no part in it */
	struct target *spare;
	struct buf_pool pool;
	void *pool_mem, *mem;
	struct target *target[MEMBERS];
	void *arena[MEMBERS];
	struct device hook[MEMBERS];
	struct target_config config[MEMBERS];
	struct target_usage empty[MEMBERS];
	struct team_config team_config;
	struct team *team;
	struct team_event event[EVENTS];
	u32 n_events;
	u32 n;
	u64 sent[WORLD_CONNS], got[WORLD_CONNS], peer_sent[WORLD_CONNS], peer_got[WORLD_CONNS];
};

static void note_event(void *ctx, const struct team_event *event)
{
	struct crew *c = ctx;

	assert_true(c->n_events < EVENTS);
	c->event[c->n_events++] = *event;
}

static u32 count_events(const struct crew *c, enum team_event_kind kind, u32 *ret_sum)
{
	u32 n = 0;

	*ret_sum = 0;
	for (u32 i = 0; i < c->n_events; i++)
		if (c->event[i].kind == kind) {
			n++;
			*ret_sum += c->event[i].n;
		}
	return n;
}

static void make_member(struct crew *c, u32 i, u32 connections)
{
	struct target_config *config = &c->config[i];

	*config = (struct target_config){
		.connections = connections,
		.paths = 1024,
		.pool = &c->pool,
		.bufs = {.small = 8192, .large = 256},
		.list_blocks = 8192,
	};
	for (u32 p = 0; p < MEMBERS; p++)
		config->engine.ports[p] =
			(struct tcp_port_caps){.rx_trusted = true, .tx_csum = true};
	config->engine.seed = 1 + i;
	c->arena[i] = zeroed(4096, target_arena_bytes(config));
	c->target[i] = zeroed(64, target_bytes(config));
	assert_int_equal(target_init(c->target[i], c->arena[i], config), 0);
	target_set_time(c->target[i], 1000 * NS_PER_S);
	c->hook[i] = target_device(c->target[i]);
	target_usage(c->target[i], &c->empty[i]);
}

/* Members of the given capacities; the first has the best priority. */
static struct crew *crew_make(const struct team_config *config, const u32 *capacity, u32 n)
{
	static struct buf_pool_config bufs = {.small = 8192, .large = 256};
	struct crew *c = zeroed(64, sizeof(*c));
	struct target_config unused = {.connections = 16384};

	c->n = n;
	c->pool_mem = zeroed(4096, buf_pool_bytes(&bufs));
	buf_pool_init(&c->pool, c->pool_mem, &bufs);
	c->w = world_make(&unused, true);
	c->team_config = *config;
	c->team_config.n_members = n;
	c->team_config.pool = &c->pool;
	c->team_config.neighbors = 256;
	c->team_config.paths = 1024;
	c->team_config.connections = 16384;
	if (!c->team_config.list_blocks)
		c->team_config.list_blocks = 2048;
	for (u32 i = 0; i < n; i++) {
		make_member(c, i, capacity[i]);
		c->team_config.member[i] = (struct team_member_config){
			.device = &c->hook[i], .port = i, .priority = i};
	}
	c->mem = zeroed(64, team_bytes(&c->team_config));
	c->team = team_init(c->mem, &c->team_config, &(struct team_env){c, note_event});
	assert_non_null(c->team);
	c->spare = c->w->t;
	c->w->t = c->target[0]; /* whose pool is everybody's */
	c->w->dev = team_device(c->team);
	c->w->dev.ops->attach(c->w->dev.impl, (struct host_side){&fake_host_ops, &c->w->host});
	c->w->dev.frames->set_time(c->w->dev.impl, c->w->now);
	return c;
}

static struct crew *crew_two(u8 mode)
{
	static const u32 capacity[2] = {2000, 2000};
	struct team_config config = {.mode = mode};

	return crew_make(&config, capacity, 2);
}

static void crew_free(struct crew *c)
{
	assert_int_equal(c->pool.n_free[BUF_SMALL], 8192);
	assert_int_equal(c->pool.n_free[BUF_LARGE], 256);
	for (u32 i = 0; i < c->n; i++) {
		zeroed_free(c->target[i]);
		zeroed_free(c->arena[i]);
	}
	zeroed_free(c->mem);
	zeroed_free(c->pool_mem);
	c->w->t = c->spare;
	world_free(c->w);
	zeroed_free(c);
}

/* Everything was given back: members hold nothing. */
static void crew_is_empty(struct crew *c)
{
	for (u32 i = 0; i < c->n; i++) {
		struct target_usage now;

		target_usage(c->target[i], &now);
		assert_int_equal(now.connections, 0);
		assert_int_equal(now.paths, 0);
		assert_int_equal(now.neighbors, 0);
		assert_null(target_check(c->target[i]));
	}
}

static u32 on_member(struct crew *c, u32 member)
{
	struct target_usage usage;

	target_usage(c->target[member], &usage);
	assert_int_equal(usage.connections, team_member_connections(c->team, member));
	return usage.connections;
}

/* Some bytes each way, of the first n connections. */
static void talk(struct crew *c, u32 n, u32 bytes)
{
	u8 buf[8192];

	for (u32 i = 0; i < n; i++) {
		stream_fill(buf, c->sent[i], bytes);
		c->sent[i] += (u64)do_send(c->w, i, buf, bytes, SEND_BUFFERED, 0);
		stream_fill(buf, c->peer_sent[i], bytes);
		c->peer_sent[i] += (u64)tcp_send(c->w->peer, c->w->peer_conn[i], buf, bytes);
	}
}

static void listen_to(struct crew *c, u32 n)
{
	u8 buf[8192];

	for (u32 i = 0; i < n; i++) {
		s64 k;

		c->peer_got[i] = peer_read(c->w, i, c->peer_got[i]);
		while ((k = do_recv(c->w, i, buf, sizeof(buf), RECV_NOW, 0)) > 0) {
			stream_check(buf, c->got[i], (u32)k);
			c->got[i] += (u64)k;
		}
	}
}

/* Until every byte that was sent is there. */
static void hear_all(struct crew *c, u32 n)
{
	for (u32 turn = 0; turn < 4000; turn++) {
		u32 done = 0;

		world_step(c->w, NS_PER_MS);
		listen_to(c, n);
		for (u32 i = 0; i < n; i++)
			done += c->got[i] == c->peer_sent[i] && c->peer_got[i] == c->sent[i];
		if (done == n)
			return;
	}
	fail_msg("bytes are missing");
}

/* -- what the host sees ------------------------------------------------------------------------ */

/* R85, R112: one device; connections are spread, parents are where they are needed. */
static void spread_by_hash(void **state)
{
	struct crew *c = crew_two(TEAM_HASH_L34);

	world_offload(c->w, 0, 400);
	assert_in_range(on_member(c, 0), 140, 260);
	assert_int_equal(on_member(c, 0) + on_member(c, 1), 400);
	talk(c, 400, 700);
	hear_all(c, 400);
	for (u32 i = 0; i < 400; i++)
		assert_true(team_member_of(c->team, c->w->conns[i]) < 2);
	world_upload(c->w, 0, 400, true);
	crew_is_empty(c);
	crew_free(c);
}

/* All of a path go the same way when ports do not count. */
static void spread_by_addresses(void **state)
{
	struct crew *c = crew_two(TEAM_HASH_L23);

	world_offload(c->w, 0, 160);
	for (u32 i = 0; i < 160; i++)
		assert_int_equal(team_member_of(c->team, c->w->conns[i]),
		                 team_member_of(c->team, c->w->conns[i / 8 * 8]));
	assert_true(on_member(c, 0) && on_member(c, 1));
	world_upload(c->w, 0, 160, true);
	crew_is_empty(c);
	crew_free(c);
}

/* R86. */
static void capabilities_of_all(void **state)
{
	static const u32 capacity[3] = {1000, 300, 10};
	struct team_config config = {.mode = TEAM_HASH_L34};
	struct crew *c = crew_make(&config, capacity, 3);
	struct capabilities caps;

	c->w->dev.ops->capabilities(c->w->dev.impl, &caps);
	assert_int_equal(caps.max_connections, 1310);
	assert_int_equal(caps.free_connections, 1310);
	assert_false(caps.features & FEATURE_BUFFERS_IN_REQUEST);
	team_report(c->team, 1, TEAM_ADMIN, false, c->w->now);
	c->w->dev.ops->capabilities(c->w->dev.impl, &caps);
	assert_int_equal(caps.max_connections, 1010);
	world_step(c->w, NS_PER_MS);
	assert_int_equal(host_count(c->w, IND_RESUME), 1); /* the only way to change them */
	crew_free(c);
}

/* A change is one update a member, however many connections hang below (R59). */
static void one_update_a_member(void **state)
{
	struct crew *c = crew_two(TEAM_HASH_L34);
	struct target_stats stats;
	struct test_list l = {0};
	u32 at;

	world_offload(c->w, 0, 320);
	list_make(&l, 4);
	at = list_named(&l, NIL, LAYER_NEIGHBOR, c->w->neighbors[0], true);
	block_at(&l.list, at)->flags = BLOCK_CACHED;
	block_neighbor(&l.list, block_at(&l.list, at))->c.next_hop_mac.b[0] = 6;
	assert_int_equal(call_layer(c->w, &l, BLOCK_CALL_UPDATE, LAYER_NEIGHBOR), 0);
	assert_int_equal(block_at(&l.list, at)->status, STATUS_OK);
	for (u32 m = 0; m < 2; m++) {
		target_stats(c->target[m], &stats);
		assert_int_equal(stats.updates[LAYER_NEIGHBOR], 1);
		assert_int_equal(stats.engine_writes, 1);
	}
	list_free(&l);
	world_upload(c->w, 0, 320, true);
	crew_is_empty(c);
	crew_free(c);
}

static void query_and_stale_handles(void **state)
{
	struct crew *c = crew_two(TEAM_HASH_L34);
	struct test_list l = {0};
	u32 n, p, k;

	world_offload(c->w, 0, 16);
	list_make(&l, 8);
	n = list_named(&l, NIL, LAYER_NEIGHBOR, c->w->neighbors[0], true);
	p = list_named(&l, n, LAYER_PATH, c->w->paths[0], true);
	k = list_named(&l, p, LAYER_TCP, c->w->conns[3], true);
	(void)list_named(&l, p, LAYER_TCP, 12345, true);
	for (u32 i = 0; i < 4; i++)
		block_at(&l.list, i)->flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED;
	assert_int_equal(call_layer(c->w, &l, BLOCK_CALL_QUERY, LAYER_TCP), 0);
	assert_int_equal(block_at(&l.list, k)->status, STATUS_OK);
	assert_int_equal(block_tcp(&l.list, block_at(&l.list, k))->k.local_port, 1024 + 3);
	assert_int_equal(block_at(&l.list, 3)->status, STATUS_STALE_HANDLE);
	assert_int_equal(call_layer(c->w, &l, BLOCK_CALL_QUERY, LAYER_NEIGHBOR), 0);
	assert_int_equal(block_neighbor(&l.list, block_at(&l.list, n))->k.port, 0);
	list_free(&l);
	world_upload(c->w, 0, 16, true);
	crew_free(c);
}

/* R109: every member reaches the application's memory, or none does. */
static void memory_for_every_member(void **state)
{
	static u8 memory[65][64], extra[64];
	struct crew *c = crew_two(TEAM_HASH_L34);
	const struct device_ops *ops = c->w->dev.ops;
	struct device *second = &c->hook[1];

	for (u32 i = 0; i < 64; i++)
		assert_int_equal(ops->memory_add(c->w->dev.impl, memory[i], 64), 0);
	assert_int_equal(ops->memory_add(c->w->dev.impl, memory[64], 64), -ENOSPC);
	for (u32 i = 0; i < 64; i++)
		assert_int_equal(ops->memory_remove(c->w->dev.impl, memory[i]), 0);
	assert_int_equal(ops->memory_remove(c->w->dev.impl, memory[0]), -ENOENT);
	assert_int_equal(ops->memory_add(c->w->dev.impl, NULL, 64), -EINVAL);
	/* The second refuses: the first has not kept it. */
	assert_int_equal(second->ops->memory_add(second->impl, extra, 64), 0);
	assert_int_equal(ops->memory_add(c->w->dev.impl, extra, 64), -EINVAL);
	assert_int_equal(second->ops->memory_remove(second->impl, extra), 0);
	assert_int_equal(ops->memory_add(c->w->dev.impl, extra, 64), 0);
	/* The second cannot give it up: the first has it again. */
	assert_int_equal(second->ops->memory_remove(second->impl, extra), 0);
	assert_int_equal(ops->memory_remove(c->w->dev.impl, extra), -ENOENT);
	assert_int_equal(c->hook[0].ops->memory_remove(c->hook[0].impl, extra), 0);
	crew_free(c);
}

/* R39: a switch may deliver a flow to any link. */
static void frames_by_the_other_link(void **state)
{
	struct crew *c = crew_two(TEAM_ACTIVE_BACKUP);
	struct team_stats stats;

	world_offload(c->w, 0, 10);
	assert_int_equal(on_member(c, 0), 10);
	c->w->rx_port = 1;
	talk(c, 10, 500);
	hear_all(c, 10);
	team_stats(c->team, &stats);
	assert_true(stats.strays >= 10);
	world_upload(c->w, 0, 10, true);
	crew_free(c);
}

/* R8, R9, R101: what one member has no room for another takes; what none takes says why. */
static void members_of_unlike_capacity(void **state)
{
	static const u32 capacity[3] = {100, 30, 4};
	struct team_config config = {.mode = TEAM_HASH_L34};
	struct crew *c = crew_make(&config, capacity, 3);
	struct test_list l = {0};
	u32 ok = 0, full = 0;

	list_make(&l, 600);
	list_tree(c->w, &l, 0, 160);
	assert_int_equal(call_offload(c->w, &l), 0);
	for (u32 i = 0; i < l.list.n_blocks; i++) {
		const struct block *b = block_at(&l.list, i);

		if (b->layer != LAYER_TCP)
			continue;
		ok += b->status == STATUS_OK;
		full += b->status == STATUS_NO_CONNECTIONS;
	}
	assert_int_equal(ok, 134);
	assert_int_equal(full, 26);
	for (u32 m = 0; m < 3; m++)
		assert_int_equal(on_member(c, m), capacity[m]);
	list_free(&l);
	crew_free(c);
}

/* -- failover ---------------------------------------------------------------------------------- */

/* R91: by the team itself; the host is told to pause and to go on, and sees no upload. */
static void a_member_goes(void **state)
{
	static const u32 capacity[2] = {2000, 2000};
	struct team_config config = {.mode = TEAM_HASH_L34, .list_blocks = 250};
	struct crew *c = crew_make(&config, capacity, 2);
	u32 before, sum;

	for (u32 i = 0; i < 600; i += 200)
		world_offload(c->w, i, 200);
	before = on_member(c, 0);
	talk(c, 600, 900); /* under way: queued here, on the wire, unread there */
	world_step(c->w, 100 * NS_PER_US);
	talk(c, 600, 300);
	host_forget(c->w);
	team_report(c->team, 0, TEAM_CARRIER, false, c->w->now);
	c->w->rx_port = 1;
	for (u32 i = 0; i < 20; i++)
		world_step(c->w, 100 * NS_PER_US);
	assert_int_equal(on_member(c, 0), 0);
	assert_int_equal(on_member(c, 1), 600);
	assert_int_equal(host_count(c->w, IND_UPLOAD_REQUEST), 0);
	assert_int_equal(host_count(c->w, IND_PAUSE), 1);
	assert_true(host_count(c->w, IND_RESUME) >= 1);
	assert_true(count_events(c, TEAM_EVENT_MOVE, &sum) > 1); /* in batches */
	assert_int_equal(sum, before);
	assert_int_equal(count_events(c, TEAM_EVENT_MOVED_ALL, &sum), 1);
	hear_all(c, 600);
	for (u32 i = 0; i < 600; i += 200)
		world_upload(c->w, i, 200, false);
	crew_free(c);
}

/* R90, R92: the alternate has room for some; the rest is the host's, with priority for some. */
static void the_alternate_is_smaller(void **state)
{
	static const u32 capacity[2] = {500, 200};
	struct team_config config = {.mode = TEAM_ACTIVE_BACKUP};
	struct crew *c = crew_make(&config, capacity, 2);
	struct team_stats stats;

	world_offload(c->w, 0, 450);
	assert_int_equal(on_member(c, 0), 450);
	talk(c, 450, 400);
	host_forget(c->w);
	team_report(c->team, 0, TEAM_ADMIN, false, c->w->now);
	for (u32 i = 0; i < 20; i++)
		world_step(c->w, 100 * NS_PER_US);
	assert_int_equal(on_member(c, 1), 200);
	assert_int_equal(on_member(c, 0), 250);
	assert_int_equal(host_count(c->w, IND_UPLOAD_REQUEST), 250);
	team_stats(c->team, &stats);
	assert_int_equal(stats.moved, 200);
	assert_int_equal(stats.to_host, 250);
	hear_all(c, 450); /* the link is there: an administrator took the member out */
	world_upload(c->w, 0, 450, true);
	crew_is_empty(c);
	crew_free(c);
}

/* R88, R89, R114, R117: the host runs them meanwhile, and offloads to the alternate. */
static void through_the_host(void **state)
{
	static const u32 capacity[2] = {500, 500};
	struct team_config config = {.mode = TEAM_ACTIVE_BACKUP, .failover = TEAM_THROUGH_HOST};
	struct crew *c = crew_make(&config, capacity, 2);

	world_offload(c->w, 0, 100);
	team_report(c->team, 0, TEAM_ERROR, false, c->w->now);
	assert_int_equal(host_count(c->w, IND_UPLOAD_REQUEST), 100);
	assert_int_equal(host_last(c->w, IND_UPLOAD_REQUEST)->detail, UPLOAD_HARDWARE_FAILURE);
	assert_int_equal(host_count(c->w, IND_PAUSE), 1);
	world_upload(c->w, 0, 100, true);
	world_step(c->w, NS_PER_MS);
	assert_int_equal(host_count(c->w, IND_RESUME), 1);
	/* New ones go to the alternate. */
	memset(c->w->paths, 0, sizeof(c->w->paths));
	memset(c->w->neighbors, 0, sizeof(c->w->neighbors));
	c->w->with_peer = false;
	world_offload(c->w, 0, 100);
	assert_int_equal(on_member(c, 1), 100);
	world_upload(c->w, 0, 100, true);
	crew_is_empty(c);
	crew_free(c);
}

/* Each cause by itself, with its delay; a member that flaps is out until it stops (R87). */
static void causes_and_delays(void **state)
{
	static const u32 capacity[2] = {50, 50};
	struct team_config config = {
		.mode = TEAM_ACTIVE_BACKUP,
		.down_delay_ns = {[TEAM_PROBE] = 300 * NS_PER_MS},
		.up_delay_ns = 2 * NS_PER_S,
		.fail_back_ns = 5 * NS_PER_S,
	};
	struct crew *c = crew_make(&config, capacity, 2);

	world_offload(c->w, 0, 40);
	team_report(c->team, 0, TEAM_PROBE, false, c->w->now);
	world_step(c->w, 200 * NS_PER_MS);
	assert_int_equal(team_member_down(c->team, 0), 0);
	team_report(c->team, 0, TEAM_PROBE, true, c->w->now);
	world_step(c->w, 200 * NS_PER_MS);
	assert_int_equal(on_member(c, 0), 40);
	for (u32 cause = 0; cause < TEAM_CAUSES; cause++) {
		u32 sum, downs = count_events(c, TEAM_EVENT_DOWN, &sum);

		team_report(c->team, 0, cause, false, c->w->now);
		world_step(c->w, 400 * NS_PER_MS);
		world_step(c->w, 1 * NS_PER_MS);
		assert_int_equal(count_events(c, TEAM_EVENT_DOWN, &sum), downs + 1);
		assert_int_equal(team_member_down(c->team, 0), 1u << cause);
		assert_int_equal(on_member(c, 1), 40);
		for (u32 flap = 0; flap < 20; flap++) {
			team_report(c->team, 0, cause, flap & 1, c->w->now);
			world_step(c->w, 100 * NS_PER_MS);
		}
		assert_int_equal(count_events(c, TEAM_EVENT_UP, &sum), cause);
		assert_int_equal(on_member(c, 1), 40); /* nothing moved meanwhile */
		world_step(c->w, 1800 * NS_PER_MS);
		assert_int_equal(count_events(c, TEAM_EVENT_UP, &sum), cause);
		world_step(c->w, 200 * NS_PER_MS);
		assert_int_equal(count_events(c, TEAM_EVENT_UP, &sum), cause + 1);
		assert_int_equal(on_member(c, 1), 40);
		world_step(c->w, 5 * NS_PER_S); /* then it is trusted again */
		world_step(c->w, NS_PER_MS);
		world_step(c->w, NS_PER_MS);
		assert_int_equal(on_member(c, 0), 40);
	}
	world_upload(c->w, 0, 40, true);
	crew_is_empty(c);
	crew_free(c);
}

/* No member left: everything is the host's, and nothing is lost. */
static void nobody_left(void **state)
{
	struct crew *c = crew_two(TEAM_HASH_L34);
	struct capabilities caps;

	world_offload(c->w, 0, 50);
	talk(c, 50, 300);
	host_forget(c->w);
	team_report(c->team, 0, TEAM_ADMIN, false, c->w->now);
	team_report(c->team, 1, TEAM_ADMIN, false, c->w->now);
	world_step(c->w, NS_PER_MS);
	world_step(c->w, NS_PER_MS);
	world_step(c->w, NS_PER_MS);
	assert_int_equal(host_count(c->w, IND_UPLOAD_REQUEST), 50);
	c->w->dev.ops->capabilities(c->w->dev.impl, &caps);
	assert_int_equal(caps.max_connections, 0);
	hear_all(c, 50);
	world_upload(c->w, 0, 50, true);
	crew_is_empty(c);
	crew_free(c);
}

/* -- a storm ----------------------------------------------------------------------------------- */

static void clear_causes(struct crew *c, u32 m)
{
	for (u32 cause = 0; cause < TEAM_CAUSES; cause++)
		team_report(c->team, m, cause, true, c->w->now);
}

/* Members go and come at random under traffic; every byte arrives, in order, once. */
static void storm(void **state)
{
	static const u32 capacity[3] = {300, 200, 120};

	for (u64 seed = 1; seed <= 12; seed++) {
		struct team_config config = {.mode = (u8)(seed % 3), .list_blocks = 140};
		struct crew *c = crew_make(&config, capacity, 3);
		struct team_stats stats;
		struct prng r;

		prng_seed(&r, seed);
		for (u32 i = 0; i < 100; i += 20)
			world_offload(c->w, i, 20);
		for (u32 round = 0; round < 150; round++) {
			u32 m = prng_below(&r, 3);

			if (prng_below(&r, 3) == 0 && team_member_down(c->team, m))
				clear_causes(c, m);
			else if (prng_below(&r, 5) == 0)
				team_report(c->team, m, prng_below(&r, TEAM_CAUSES), false,
				            c->w->now);
			c->w->rx_port = (u16)prng_below(&r, 3);
			talk(c, 100, 1 + prng_below(&r, 1500));
			world_step(c->w, prng_below(&r, 3) * NS_PER_MS);
			listen_to(c, prng_below(&r, 100));
		}
		for (u32 m = 0; m < 3; m++)
			clear_causes(c, m);
		hear_all(c, 100);
		team_stats(c->team, &stats);
		assert_true(stats.moved > 50);
		world_upload(c->w, 0, 100, true);
		crew_is_empty(c);
		crew_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spread_by_hash),
		cmocka_unit_test(spread_by_addresses),
		cmocka_unit_test(capabilities_of_all),
		cmocka_unit_test(one_update_a_member),
		cmocka_unit_test(query_and_stale_handles),
		cmocka_unit_test(memory_for_every_member),
		cmocka_unit_test(frames_by_the_other_link),
		cmocka_unit_test(members_of_unlike_capacity),
		cmocka_unit_test(a_member_goes),
		cmocka_unit_test(the_alternate_is_smaller),
		cmocka_unit_test(through_the_host),
		cmocka_unit_test(causes_and_delays),
		cmocka_unit_test(nobody_left),
		cmocka_unit_test(storm),
	};

	return RUN_TESTS(tests);
}
