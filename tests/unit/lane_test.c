/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "lane/internal.h"
#include "target/target.h"

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "port_test_util.h"

enum { OTHER_TYPE = 0x88b5, PORTS = 2 };

/* A port that does what it is told. */
struct fake_port {
	struct port port;
	struct buf_pool *pool;
	int fd;
	_Atomic u32 waiting; /* frames to be received */
	_Atomic bool endless;
	int receive_err, transmit_err;
	u32 room;    /* frames that transmit() takes before it is full */
	u8 sent[64]; /* first byte of each */
	u32 n_sent;
};

struct rig {
	struct fake_port ports[PORTS];
	struct target *target;
	struct device device;
	void *arena;
	struct lane *lane;
	u32 free_small;
	_Atomic u32 to_host;
	sem_t told; /* posted for each batch to the host */
	u32 lost[PORTS];
};

static int fake_receive(struct port *port, struct rx_frame *frames, u32 n)
{
	struct fake_port *p = (struct fake_port *)port;
	u32 k = 0;
	u64 count;

	if (p->receive_err)
		return p->receive_err;
	for (; k < n && (p->endless || p->waiting); k++) {
		u32 b = buf_alloc(p->pool, BUF_SMALL);

		if (b == NIL || (p->endless && k == 1)) {
			if (b != NIL)
				buf_put(p->pool, b);
			break;
		}
		buf_at(p->pool, b)->len = 60;
		memset(buf_data(p->pool, b), 0, 60);
		buf_data(p->pool, b)[12] = OTHER_TYPE >> 8;
		buf_data(p->pool, b)[13] = OTHER_TYPE & 0xff;
		frames[k] = (struct rx_frame){.buf = b, .len = 60};
		p->waiting -= !p->endless;
	}
	if (!p->waiting && read(p->fd, &count, sizeof(count)) < 0)
		assert_int_equal(errno, EAGAIN);
	return (int)k;
}

static int fake_transmit(struct port *port, const struct tx_frame *frames, u32 n)
{
	struct fake_port *p = (struct fake_port *)port;
	u32 k;

	if (p->transmit_err)
		return p->transmit_err;
	for (k = 0; k < n && p->room; k++, p->room--)
		p->sent[p->n_sent++] = frames[k].header[frames[k].header_off];
	return (int)k;
}

static void fake_info(const struct port *port, struct port_info *ret)
{
	*ret = (struct port_info){.fd = ((const struct fake_port *)port)->fd, .mode = "fake"};
}

static void fake_counters(const struct port *port, struct port_counters *ret)
{
	*ret = (struct port_counters){0};
}

static void fake_destroy(struct port *port)
{
	close(((struct fake_port *)port)->fd);
}

static const struct port_ops fake_ops = {
	.receive = fake_receive,
	.transmit = fake_transmit,
	.info = fake_info,
	.counters = fake_counters,
	.destroy = fake_destroy,
};

/* A frame comes in. */
static void deliver(struct fake_port *p, u32 n)
{
	u64 one = 1;

	p->waiting += n;
	assert_int_equal(write(p->fd, &one, sizeof(one)), sizeof(one));
}

static void take_frames(void *ctx, struct rx_frame *frames, u32 n)
{
	struct rig *r = ctx;

	for (u32 i = 0; i < n; i++)
		buf_put_chain(target_pool(r->target), frames[i].buf);
	r->to_host += n;
	sem_post(&r->told);
}

static void note_loss(void *ctx, u32 port, int err)
{
	((struct rig *)ctx)->lost[port]++;
}

static void rig_init(struct rig *r, u64 spin_ns)
{
	struct target_config tc = {.connections = 16,
	                           .bufs = {.small = 2 * LANE_BATCH, .large = 4}};
	struct lane_config lc = {.n_ports = PORTS, .spin_ns = spin_ns};

	memset(r, 0, sizeof(*r));
	sem_init(&r->told, 0, 0);
	r->target = aligned_alloc(64, (target_bytes(&tc) + 63) & ~(size_t)63);
	r->arena = aligned_alloc(4096, target_arena_bytes(&tc));
	assert_int_equal(target_init(r->target, r->arena, &tc), 0);
	r->free_small = target_pool(r->target)->n_free[BUF_SMALL];
	for (u32 i = 0; i < PORTS; i++) {
		r->ports[i].port.ops = &fake_ops;
		r->ports[i].pool = target_pool(r->target);
		r->ports[i].fd = eventfd(0, EFD_NONBLOCK);
		r->ports[i].room = UINT32_MAX;
		lc.ports[i] = &r->ports[i].port;
		lc.pools[i] = target_pool(r->target);
	}
	r->device = target_device(r->target);
	lc.device = &r->device;
	lc.hooks.ctx = r;
	lc.hooks.frames_to_host = take_frames;
	lc.hooks.port_lost = note_loss;
	assert_int_equal(lane_create(&lc, &r->lane), 0);
}

static void rig_finish(struct rig *r)
{
	lane_destroy(r->lane);
	assert_int_equal(target_pool(r->target)->n_free[BUF_SMALL], r->free_small);
	for (u32 i = 0; i < PORTS; i++)
		fake_destroy(&r->ports[i].port);
	free(r->arena);
	free(r->target);
}

static struct lane_counters counters(struct rig *r)
{
	struct lane_counters c;

	lane_lock(r->lane);
	lane_counters(r->lane, &c);
	lane_unlock(r->lane);
	return c;
}

static bool is_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void test_what_is_not_ours_goes_to_the_host(void **state)
{
	struct rig r;

	rig_init(&r, 0);
	deliver(&r.ports[0], 3);
	deliver(&r.ports[1], 2);
	assert_true(lane_step(r.lane, 1000));
	assert_int_equal(r.to_host, 5);
	assert_false(lane_step(r.lane, 2000));
	assert_int_equal(counters(&r).rx_frames, 5);
	assert_int_equal(counters(&r).to_host, 5);
	assert_int_equal(counters(&r).turns, 2);
	assert_int_equal(counters(&r).busy_turns, 1);
	rig_finish(&r);
}

static void test_drain_takes_what_waits(void **state)
{
	struct rig r;

	rig_init(&r, 0);
	deliver(&r.ports[0], 40);
	deliver(&r.ports[1], 2);
	assert_int_equal(lane_drain(r.lane), 42);
	assert_int_equal(r.to_host, 42);
	assert_int_equal(lane_drain(r.lane), 0);
	assert_int_equal(counters(&r).turns, 0);
	r.ports[0].endless = true;
	assert_in_range(lane_drain(r.lane), 1, 10000); /* comes back */
	rig_finish(&r);
}

/* Frames waiting in the lane, for ports 0 0 1 0. */
static void fill_tx(struct lane *l)
{
	static const u16 ports[] = {0, 0, 1, 0};

	for (u32 i = 0; i < 4; i++) {
		l->tx.frames[i] = test_frame((u8)i, 60);
		l->tx.frames[i].port = ports[i];
	}
	l->tx.n = 4;
	l->tx_at = 0;
}

static void test_a_full_port_gets_the_rest_later_in_order(void **state)
{
	struct rig r;

	rig_init(&r, 0);
	r.ports[0].room = 1;
	fill_tx(r.lane);
	lane_step(r.lane, 1000);
	assert_int_equal(r.ports[0].n_sent, 1);
	assert_int_equal(r.ports[1].n_sent, 0);
	r.ports[0].room = 5;
	lane_step(r.lane, 2000);
	assert_int_equal(r.ports[0].n_sent, 3);
	assert_int_equal(r.ports[0].sent[0], 0);
	assert_int_equal(r.ports[0].sent[1], 1);
	assert_int_equal(r.ports[0].sent[2], 3);
	assert_int_equal(r.ports[1].sent[0], 2);
	assert_int_equal(counters(&r).tx_stalls, 1);
	assert_int_equal(counters(&r).tx_frames, 4);
	rig_finish(&r);
}

/* The interface of one port is gone: told once, its frames are lost, the others go on (R75). */
static void test_a_lost_port_does_not_stop_the_others(void **state)
{
	struct rig r;

	rig_init(&r, 0);
	r.ports[0].transmit_err = -ENXIO;
	fill_tx(r.lane);
	lane_step(r.lane, 1000);
	assert_int_equal(r.ports[1].n_sent, 1);
	assert_int_equal(r.lost[0], 1);
	assert_int_equal(counters(&r).tx_lost, 3);
	deliver(&r.ports[1], 1);
	lane_step(r.lane, 2000);
	assert_int_equal(r.to_host, 1);
	r.ports[1].receive_err = -EBADFD;
	lane_step(r.lane, 3000);
	lane_step(r.lane, 4000);
	assert_int_equal(r.lost[0], 1);
	assert_int_equal(r.lost[1], 1);
	rig_finish(&r);
}

static void pause_ms(u32 ms)
{
	const struct timespec t = {.tv_nsec = (long)ms * 1000000};

	nanosleep(&t, NULL);
}

/* An idle lane blocks: after it has dozed off it turns 50 times a second, not more. */
static void test_idle_lane_sleeps(void **state)
{
	struct rig r;
	u64 before, start_ns;

	rig_init(&r, 1000);
	assert_int_equal(lane_start(r.lane, "idle"), 0);
	while (!counters(&r).sleeps)
		pause_ms(1);
	before = counters(&r).turns;
	start_ns = lane_now_ns();
	pause_ms(300);
	/* Fifty turns a second, however long this thread was away; twice as many are allowed. */
	assert_in_range(counters(&r).turns - before, 0,
	                10 + (lane_now_ns() - start_ns) / (10 * NS_PER_MS));
	lane_stop(r.lane);
	rig_finish(&r);
}

static void test_a_frame_wakes_a_sleeping_lane(void **state)
{
	struct rig r;

	rig_init(&r, 0);
	assert_int_equal(lane_start(r.lane, "sleeper"), 0);
	for (u32 i = 1; i <= 20; i++) {
		while (!r.lane->asleep)
			pause_ms(1);
		deliver(&r.ports[i % 2], 1);
		sem_wait(&r.told);
		assert_int_equal(r.to_host, i);
	}
	lane_stop(r.lane);
	rig_finish(&r);
}

static void test_wake_makes_it_turn(void **state)
{
	struct rig r;
	u64 turns;

	rig_init(&r, 0);
	assert_int_equal(lane_start(r.lane, "woken"), 0);
	while (!r.lane->asleep)
		pause_ms(1);
	turns = counters(&r).turns;
	lane_wake(r.lane);
	while (counters(&r).turns == turns)
		pause_ms(1);
	assert_int_equal(counters(&r).wakes, 1);
	lane_stop(r.lane);
	rig_finish(&r);
}

/* A lane that is never idle lets others in, between two turns. */
static void test_a_busy_lane_gives_way(void **state)
{
	struct rig r;
	u64 turns = 0;

	rig_init(&r, 0);
	r.ports[0].endless = true;
	assert_int_equal(lane_start(r.lane, "busy"), 0);
	for (u32 i = 0; i < 200; i++) {
		u64 now = counters(&r).turns;

		assert_true(now >= turns);
		turns = now;
	}
	while (counters(&r).turns == turns)
		pause_ms(1);
	r.ports[0].endless = false;
	lane_stop(r.lane);
	rig_finish(&r);
}

/* While a lane is busy its descriptor stays readable although its ports are not watched. */
static void test_a_hot_lane_is_readable_until_it_is_idle(void **state)
{
	struct rig r;

	rig_init(&r, 0);
	for (u32 i = 0; i < 64; i++) {
		deliver(&r.ports[0], 1);
		assert_true(lane_poll(r.lane, 0));
	}
	assert_true(is_readable(lane_fd(r.lane)));
	lane_wake(r.lane);
	assert_false(lane_poll(r.lane, 0));
	assert_true(is_readable(lane_fd(r.lane))); /* the wake-up is not lost */
	assert_false(lane_poll(r.lane, 0));
	assert_false(is_readable(lane_fd(r.lane)));
	deliver(&r.ports[1], 1);
	assert_true(is_readable(lane_fd(r.lane)));
	rig_finish(&r);
}

/* The ACK that a timer waits for may be the last of many frames. */
static void test_timers_wait_for_what_has_arrived(void **state)
{
	struct rig r;

	rig_init(&r, 0);
	deliver(&r.ports[0], 2 * LANE_BATCH + 1);
	assert_true(lane_turn(r.lane));
	assert_int_equal(r.lane->late_turns, 1);
	assert_true(lane_turn(r.lane));
	assert_int_equal(r.lane->late_turns, 2);
	assert_true(lane_turn(r.lane));
	assert_int_equal(r.lane->late_turns, 0);
	assert_int_equal(r.to_host, 2 * LANE_BATCH + 1);
	rig_finish(&r);
}

static void test_poll_in_the_callers_thread(void **state)
{
	struct rig r;

	rig_init(&r, 0);
	assert_false(lane_poll(r.lane, 0));
	assert_int_equal(counters(&r).turns, 1);
	assert_false(is_readable(lane_fd(r.lane)));
	deliver(&r.ports[1], 1);
	assert_true(is_readable(lane_fd(r.lane)));
	assert_true(lane_poll(r.lane, 1000000));
	assert_int_equal(r.to_host, 1);
	assert_false(is_readable(lane_fd(r.lane)));
	assert_false(lane_poll(r.lane, 2000));
	lane_wake(r.lane);
	assert_true(is_readable(lane_fd(r.lane)));
	assert_false(lane_poll(r.lane, 0));
	assert_false(is_readable(lane_fd(r.lane)));
	rig_finish(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_ours_goes_to_the_host),
		cmocka_unit_test(test_drain_takes_what_waits),
		cmocka_unit_test(test_a_full_port_gets_the_rest_later_in_order),
		cmocka_unit_test(test_a_lost_port_does_not_stop_the_others),
		cmocka_unit_test(test_idle_lane_sleeps),
		cmocka_unit_test(test_a_frame_wakes_a_sleeping_lane),
		cmocka_unit_test(test_wake_makes_it_turn),
		cmocka_unit_test(test_a_busy_lane_gives_way),
		cmocka_unit_test(test_a_hot_lane_is_readable_until_it_is_idle),
		cmocka_unit_test(test_timers_wait_for_what_has_arrived),
		cmocka_unit_test(test_poll_in_the_callers_thread),
	};

	return RUN_TESTS(tests);
}
