/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * R10, R77, R106: moves, changes, posted calls, requests of the device, stray frames and faults at
 * random moments, against a device that answers when it likes. The fakes check every list and every
 * step of every connection; at the end all is back in the host, and nothing is left at the device.
 */
#include "base/prng.h"
#include "host_fake.h"

enum { CONNS = 48, ROUNDS = 150, SEEDS = 300 };

struct storm {
	struct fake *f;
	struct prng rng;
	u32 posted, done;
};

static u32 below(struct storm *s, u32 n)
{
	return (u32)prng_below(&s->rng, n);
}

static void move_some(struct storm *s, bool upload)
{
	struct fake *f = s->f;
	u32 n = 1 + below(s, CONNS), first = below(s, CONNS);

	if (host_busy(f->host))
		return;
	for (u32 i = 0; i < n; i++)
		f->moves[i] = (struct host_move){.conn = f->handles[(first + i) % CONNS]};
	if (upload)
		assert_int_equal(host_upload(f->host, f->moves, n), 0);
	else
		assert_int_equal(host_offload(f->host, f->moves, n, below(s, 2)), 0);
}

static void change_route(struct storm *s)
{
	struct path_key paths[3];
	u32 to = below(s, 12);
	struct neighbor_key key = fake_neighbor_key(to);
	struct neighbor_state state = fake_neighbor_state(to);

	for (u32 i = 0; i < ARRAY_SIZE(paths); i++)
		paths[i] = fake_path_key(below(s, 14)); /* some are not known */
	assert_int_equal(host_route_changed(s->f->host, paths, ARRAY_SIZE(paths), &key, &state), 0);
}

static void change(struct storm *s)
{
	struct neighbor_key n = fake_neighbor_key(below(s, 12));
	struct path_key p = fake_path_key(below(s, 12));
	struct mac_addr mac = {{2, 0, 0, 0, 1, (u8)below(s, 256)}};
	struct host *h = s->f->host;
	u32 conn = below(s, CONNS);

	switch (below(s, 7)) {
	case 0:
		(void)host_neighbor_changed(h, &n, &mac, LINK_DIX);
		break;
	case 1:
		(void)host_path_mtu(h, &p, 1000 + below(s, 500));
		break;
	case 2:
		s->f->conn[conn].settings.hop_limit = (u8)(1 + below(s, 200));
		assert_int_equal(
			host_conn_settings(h, s->f->handles[conn], &s->f->conn[conn].settings), 0);
		break;
	case 3:
		if (!below(s, 4))
			(void)host_invalidate_path(h, &p);
		break;
	case 4:
		if (!below(s, 4))
			(void)host_invalidate_neighbor(h, &n);
		break;
	case 5:
		if (!below(s, 4))
			assert_int_equal(host_invalidate(h, s->f->handles[conn]), 0);
		break;
	default:
		change_route(s);
	}
}

/* What fails from now on, or nothing does. */
static void set_fault(struct storm *s)
{
	static const u8 calls[] = {BLOCK_CALL_OFFLOAD, BLOCK_CALL_UPLOAD, BLOCK_CALL_UPDATE,
	                           BLOCK_CALL_INVALIDATE};
	struct fake *f = s->f;

	f->fail = (enum fake_op)below(s, FAKE_INVALIDATE + 3);
	if (f->fail > FAKE_INVALIDATE)
		f->fail = FAKE_NONE;
	f->fail_status = STATUS_FAILED;
	f->fail_layer = f->fail == FAKE_RESERVE ? (u8)below(s, LAYERS) : LAYER_TCP;
	f->fail_conn = f->fail_layer != LAYER_TCP || below(s, 2) ? NIL : below(s, CONNS);
	f->refuse = !below(s, 4);
	f->refuse_layer = (enum host_layer)below(s, HOST_LAYERS);
	f->refuse_conn = below(s, CONNS);
	f->paused = !below(s, 8);
	f->fill_inside = !below(s, 3);
	f->conn[below(s, CONNS)].unquiet_inspections = below(s, 4);
	if (!below(s, 4))
		f->rejects[calls[below(s, ARRAY_SIZE(calls))]] = 1;
}

static void stray(struct storm *s)
{
	struct rx_frame frame;

	if (s->f->pool.n_free[BUF_SMALL] < 32)
		return;
	frame = fake_frame(s->f, below(s, CONNS), below(s, 1000));
	host_frames(s->f->host, &frame, 1);
}

static void post(struct storm *s)
{
	static char buffer[8];
	u32 conn = below(s, CONNS);
	const struct send_call send = {
		.conn = s->f->handles[conn], .data = buffer, .len = 1 + below(s, 8)};
	const struct recv_call recv = {
		.conn = s->f->handles[conn], .data = buffer, .len = 1 + below(s, 8)};
	int err = below(s, 2) ? host_post_send(s->f->host, &send)
	                      : host_post_receive(s->f->host, &recv);

	assert_true(err == 0 || err == -ENOBUFS);
	s->posted += !err;
}

/* Completes any, or has no room for a while. */
static void answer(struct storm *s)
{
	struct fake *f = s->f;
	u32 i = f->n_calls ? below(s, f->n_calls) : 0;

	f->busy = !below(s, 4);
	/* The first of its connection and kind: they complete in order. */
	for (u32 k = 0; k < i; k++) {
		if (f->call[k].conn == f->call[i].conn && f->call[k].kind == f->call[i].kind)
			i = k;
	}
	if (f->n_calls)
		fake_answer(f, i, STATUS_OK, f->call[i].len, 0);
}

static void forget(struct storm *s)
{
	struct fake *f = s->f;

	s->done += f->n_done;
	f->n_done = 0;
	f->trace[0] = 0;
	f->n_injected = f->n_forwarded = f->n_notices = 0;
}

static void round_of(struct storm *s)
{
	struct fake *f = s->f;

	forget(s);
	switch (below(s, 16)) {
	case 0:
	case 1:
		move_some(s, false);
		break;
	case 2:
		move_some(s, true);
		break;
	case 3:
	case 4:
	case 5:
		change(s);
		break;
	case 6:
		set_fault(s);
		break;
	case 7:
		fake_indicate(f, IND_UPLOAD_REQUEST, below(s, CONNS), below(s, UPLOAD_REASONS));
		break;
	case 8:
		f->async = below(s, 2);
		f->now_ns += below(s, 3) * 10 * NS_PER_MS;
		break;
	case 9:
		host_reap(f->host);
		break;
	case 10:
	case 11:
		answer(s);
		break;
	case 12:
	case 13:
	case 14:
		post(s);
		break;
	default:
		stray(s);
	}
	for (u32 i = below(s, 6); i--;) {
		forget(s);
		if (below(s, 3))
			(void)host_step(f->host);
		else
			(void)fake_complete(f);
	}
}

/* Nothing fails any more: until nothing is left to do, later tries included. */
static void calm(struct storm *s)
{
	struct fake *f = s->f;

	f->fail = FAKE_NONE;
	f->fill_inside = f->refuse = f->paused = f->async = f->busy = false;
	memset(f->rejects, 0, sizeof(f->rejects));
	for (u32 i = 0; i < 100; i++) {
		enum host_progress progress;

		do {
			forget(s);
			while (fake_complete(f))
				;
			progress = host_step(f->host);
		} while (progress != HOST_IDLE);
		if (host_next_deadline(f->host) == UINT64_MAX)
			return;
		f->now_ns = max_of(f->now_ns, host_next_deadline(f->host));
	}
	fail_msg("it never comes to rest");
}

static void storm(u64 seed)
{
	const struct fake_options o = {
		.conns = CONNS,
		.config = {.chunk_max = 1 + (u32)seed % 9,
	                   .parents_late = seed & 1,
	                   .quiet_ns = seed & 8 ? 5 * NS_PER_MS : 0},
	};
	struct storm s = {.f = fake_create(&o)};
	struct fake *f = s.f;

	prng_seed(&s.rng, seed);
	f->features = (seed & 2 ? FEATURE_UPLOAD_FORWARD_BUFFERING : 0) |
	              (seed & 4 ? FEATURE_BUFFERS_IN_REQUEST : 0);
	f->answers = true;
	for (u32 i = 0; i < ROUNDS; i++)
		round_of(&s);
	calm(&s);
	assert_false(host_busy(f->host));
	fake_check_tree(f);
	forget(&s);
	for (u32 i = 0; i < CONNS; i++)
		f->moves[i] = (struct host_move){.conn = f->handles[i]};
	assert_int_equal(host_upload(f->host, f->moves, CONNS), 0);
	calm(&s);
	host_reap(f->host);
	calm(&s);
	assert_int_equal(f->n_calls, 0);
	for (u32 i = 0; i < CONNS; i++) {
		assert_int_equal(fake_side(f, i), HOST_IN_STACK);
		assert_false(f->conn[i].held);
		assert_false(f->conn[i].frozen);
		assert_false(f->conn[i].detached);
	}
	fake_expect_objects(f, 0, 0, 0);
	fake_check_tree(f);
	for (u32 i = 0; i < CONNS; i++)
		assert_int_equal(host_release(f->host, f->handles[i]), 0);
	forget(&s);
	assert_int_equal(s.done, s.posted); /* R36: each once */
	fake_destroy(f);
}

static void storms(void **state)
{
	for (u64 seed = 1; seed <= SEEDS; seed++)
		storm(seed);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(storms),
	};

	return RUN_TESTS(tests);
}
