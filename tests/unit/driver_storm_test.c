// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * Drivers in random order, put in and taken out at random under traffic, above a team and below it
 * (R51, R92, R102, R103, R118); and state changes, failover and VLANs at once (R116). Two targets
 * over one pool, one peer; every byte is looked at. A frame that meets its connection between two
 * members is the host's; here it is lost, and sent again.
 */
#include "vlan_lan.h"

#include "base/prng.h"
#include "driver/filter/fault.h"
#include "driver/team/team.h"

enum {
	MEMBERS = 2,
	PLACES = 1 + MEMBERS, /* in front of the team, and of each member */
	DEEP = 4,             /* drivers at one place */
};

enum kind {
	KIND_MONITOR,
	KIND_FAULT,
	KIND_VLAN,
	KINDS,
};

struct layer_of_drivers {
	enum kind kind;
	struct monitor *monitor;
	struct fault *fault;
	struct vlan *vlan;
};

struct storm {
	struct lan *lan;
	struct buf_pool pool;
	struct target_config config[MEMBERS];
	struct target *target[MEMBERS], *spare;
	struct target_usage empty[MEMBERS];
	void *arena[MEMBERS], *pool_mem;
	struct device hook[MEMBERS];
	struct team *team;
	struct layer_of_drivers driver[PLACES][DEEP];
	u32 n[PLACES];
	u32 inserted, removed, busy;
	u16 ids;
	struct prng random;
};

static void make_member(struct storm *s, u32 i)
{
	struct target_config *c = &s->config[i];

	*c = (struct target_config){
		.connections = 512,
		.paths = 128,
		.pool = &s->pool,
		.bufs = {.small = 4096, .large = 64},
		.list_blocks = 1024,
	};
	c->engine.seed = 1 + i;
	for (u32 p = 0; p < MEMBERS; p++)
		c->engine.ports[p] = (struct tcp_port_caps){.rx_trusted = true, .tx_csum = true};
	s->arena[i] = zeroed(4096, target_arena_bytes(c));
	s->target[i] = zeroed(64, target_bytes(c));
	assert_int_equal(target_init(s->target[i], s->arena[i], c), 0);
	target_set_time(s->target[i], 1000 * NS_PER_S);
	s->hook[i] = target_device(s->target[i]);
	target_usage(s->target[i], &s->empty[i]);
}

static struct storm *make(u64 seed)
{
	static struct buf_pool_config bufs = {.small = 4096, .large = 64};
	struct target_config unused = {.connections = 512};
	struct team_config config = {.mode = TEAM_HASH_L34,
	                             .n_members = MEMBERS,
	                             .neighbors = 64,
	                             .paths = 128,
	                             .connections = 512,
	                             .list_blocks = 256};
	struct storm *s = zeroed(64, sizeof(*s));
	struct world *w;

	prng_seed(&s->random, seed);
	s->lan = zeroed(64, sizeof(*s->lan));
	w = s->lan->w = world_make(&unused, true);
	s->pool_mem = zeroed(4096, buf_pool_bytes(&bufs));
	buf_pool_init(&s->pool, s->pool_mem, &bufs);
	config.pool = &s->pool;
	for (u32 i = 0; i < MEMBERS; i++) {
		make_member(s, i);
		config.member[i] = (struct team_member_config){
			.device = &s->hook[i], .port = i, .priority = i};
	}
	s->team = team_init(zeroed(64, team_bytes(&config)), &config, &(struct team_env){0});
	assert_non_null(s->team);
	s->spare = w->t;
	w->t = s->target[0]; /* whose pool is everybody's */
	w->dev = team_device(s->team);
	(void)w->dev.ops->attach(w->dev.impl, (struct host_side){&fake_host_ops, &w->host});
	w->dev.frames->set_time(w->dev.impl, w->now);
	return s;
}

static void end(struct storm *s)
{
	for (u32 i = 0; i < MEMBERS; i++) {
		struct target_usage now;

		target_usage(s->target[i], &now);
		assert_int_equal(now.connections + now.paths + now.neighbors, 0);
		assert_null(target_check(s->target[i]));
		zeroed_free(s->target[i]);
		zeroed_free(s->arena[i]);
	}
	assert_int_equal(s->pool.n_free[BUF_SMALL], 4096);
	assert_int_equal(s->pool.n_free[BUF_LARGE], 64);
	zeroed_free(s->team);
	zeroed_free(s->pool_mem);
	s->lan->w->t = s->spare;
	world_free(s->lan->w);
	zeroed_free(s->lan->v);
	zeroed_free(s->lan);
	zeroed_free(s);
}

/* -- drivers ----------------------------------------------------------------------------------- */

static struct device *place(struct storm *s, u32 at)
{
	return at ? &s->hook[at - 1] : &s->lan->w->dev;
}

static void put_in(struct storm *s, u32 at)
{
	struct layer_of_drivers *d = &s->driver[at][s->n[at]];
	struct monitor_config watch = {0};
	struct fault_config harmless = {
		.pool = &s->pool,
		.seed = prng_u64(&s->random),
		.in = {.reorder_ppm = 20000, .duplicate_ppm = 10000, .drop_ppm = 5000},
		.out = {.reorder_ppm = 20000, .duplicate_ppm = 10000, .drop_ppm = 5000},
	};
	struct vlan_config tags = {.n = 2, .objects = 512, .list_blocks = 1024, .pool = &s->pool};

	*d = (struct layer_of_drivers){.kind = (enum kind)prng_below(&s->random, KINDS)};
	if (d->kind == KIND_MONITOR) {
		d->monitor = zeroed(64, sizeof(*d->monitor));
		assert_int_equal(monitor_insert(d->monitor, &watch, place(s, at)), 0);
	} else if (d->kind == KIND_FAULT) {
		d->fault = zeroed(64, sizeof(*d->fault));
		assert_int_equal(fault_insert(d->fault, &harmless, place(s, at)), 0);
	} else {
		tags.id = ++s->ids;
		tags.device[1].tags = lan_tags(2, AD | 9, Q | s->ids);
		d->vlan = vlan_init(zeroed(64, vlan_bytes(&tags)), &tags);
		assert_non_null(d->vlan);
		assert_int_equal(vlan_insert(d->vlan, place(s, at)), 0);
	}
	s->n[at]++;
	s->inserted++;
}

static int remove_driver(struct layer_of_drivers *d)
{
	switch (d->kind) {
	case KIND_MONITOR:
		return monitor_remove(d->monitor);
	case KIND_FAULT:
		return fault_remove(d->fault);
	default:
		return vlan_remove(d->vlan);
	}
}

static void take_out(struct storm *s, u32 at)
{
	u32 which = prng_below(&s->random, s->n[at]);
	struct layer_of_drivers *d = &s->driver[at][which];

	if (which + 1 < s->n[at]) { /* one that is covered stays */
		assert_int_equal(remove_driver(d), -EBUSY);
		s->busy++;
		return;
	}
	assert_int_equal(remove_driver(d), 0);
	zeroed_free(d->monitor);
	zeroed_free(d->fault);
	zeroed_free(d->vlan);
	s->n[at]--;
	s->removed++;
}

static void shuffle(struct storm *s)
{
	u32 at = prng_below(&s->random, PLACES);

	if (s->n[at] && prng_below(&s->random, 2))
		take_out(s, at);
	else if (s->n[at] < DEEP)
		put_in(s, at);
}

static void clear_out(struct storm *s)
{
	for (u32 at = 0; at < PLACES; at++)
		while (s->n[at])
			take_out(s, at);
}

/* -- what the host does meanwhile ---------------------------------------------------------------
 */

static void until_completed(struct storm *s, u32 before)
{
	for (u32 i = 0; i < 50 && s->lan->w->host.completed == before; i++)
		lan_step(s->lan, 100 * NS_PER_US);
	assert_int_equal(s->lan->w->host.completed, before + 1);
}

/* A new address of a neighbor: one update (R59). */
static void change_neighbor(struct storm *s, u32 vlan)
{
	struct world *w = s->lan->w;
	struct test_list u = {0};
	u32 at, before = w->host.completed;

	list_make(&u, 2);
	at = list_named(&u, NIL, LAYER_NEIGHBOR, w->neighbors[vlan], true);
	block_at(&u.list, at)->flags = BLOCK_CACHED;
	block_neighbor(&u.list, block_at(&u.list, at))->c.next_hop_mac.b[5] =
		(u8)prng_below(&s->random, 256);
	LAN_ON(s->lan, vlan,
	       assert_int_equal(call_layer(w, &u, BLOCK_CALL_UPDATE, LAYER_NEIGHBOR), 0));
	until_completed(s, before);
	assert_int_equal(block_at(&u.list, at)->status, STATUS_OK);
	list_free(&u);
}

/* While members change an offload waits. */
static void offload(struct storm *s, u32 vlan)
{
	struct world *w = s->lan->w;
	struct test_list o = {0};
	u32 before = w->host.completed;

	list_make(&o, 3 * TALKING);
	list_tree(w, &o, vlan * PER_VLAN, TALKING);
	LAN_ON(s->lan, vlan, assert_int_equal(call_offload(w, &o), 0));
	until_completed(s, before);
	for (u32 i = 0; i < o.list.n_blocks; i++)
		assert_int_equal(block_at(&o.list, i)->status, STATUS_OK);
	world_note(w, &o);
	world_peers(w, vlan * PER_VLAN, TALKING);
	list_free(&o);
}

/* An upload that the host gives up: everything goes on where it was (semantics 5.5). */
static void upload_and_roll_back(struct storm *s, u32 vlan)
{
	struct world *w = s->lan->w;
	struct test_list u = {0};
	u32 before = w->host.completed;

	list_make(&u, 3 * TALKING);
	list_upload(w, &u, vlan * PER_VLAN, TALKING, false);
	LAN_ON(s->lan, vlan, assert_int_equal(call_upload(w, &u), 0));
	until_completed(s, before);
	for (u32 i = 0; i < u.list.n_blocks; i++)
		if (block_at(&u.list, i)->layer == LAYER_TCP)
			block_at(&u.list, i)->status = STATUS_FAILED;
	LAN_ON(s->lan, vlan, w->dev.ops->commit(w->dev.impl, &u.request));
	list_free(&u);
}

static void fail_over(struct storm *s)
{
	u32 m = prng_below(&s->random, MEMBERS);

	if (team_member_down(s->team, m))
		team_report(s->team, m, TEAM_ADMIN, true, s->lan->w->now);
	else if (!team_member_down(s->team, !m))
		team_report(s->team, m, TEAM_ADMIN, false, s->lan->w->now);
}

static void all_up(struct storm *s)
{
	for (u32 m = 0; m < MEMBERS; m++)
		team_report(s->team, m, TEAM_ADMIN, true, s->lan->w->now);
	lan_step(s->lan, NS_PER_MS);
}

static void settle(struct storm *s)
{
	for (u32 i = 0; i < 20; i++)
		lan_step(s->lan, NS_PER_MS);
}

/* -- the storms -------------------------------------------------------------------------------- */

static void drivers_come_and_go(void **state)
{
	for (u64 seed = 1; seed <= 10; seed++) {
		struct storm *s = make(seed);
		struct lan *l = s->lan;

		l->config.n = 1;
		world_offload(l->w, 0, TALKING);
		host_forget(l->w);
		for (u32 round = 0; round < 150; round++) {
			shuffle(s);
			if (!prng_below(&s->random, 8))
				fail_over(s);
			if (!prng_below(&s->random, 8))
				change_neighbor(s, 0);
			lan_talk(l, prng_below(&s->random, 1500));
			l->w->rx_port = (u16)prng_below(&s->random, MEMBERS);
			lan_step(l, prng_below(&s->random, 2) * NS_PER_MS);
			(void)lan_hear(l);
			host_forget(l->w);
		}
		all_up(s);
		clear_out(s);
		lan_hear_all(l);
		assert_true(s->inserted > 20 && s->removed == s->inserted && s->busy);
		settle(s);
		world_upload(l->w, 0, TALKING, true);
		end(s);
	}
}

/* R116: hosts of three virtual devices over a team whose members go and come, with filters in
 * between that come and go, while neighbors change and connections move out and back. */
static void everything_at_once(void **state)
{
	for (u64 seed = 1; seed <= 6; seed++) {
		struct storm *s = make(seed);
		struct lan *l = s->lan;
		bool out[3] = {false};

		l->config.n = 3;
		l->config.device[1].tags = lan_tags(1, Q | 100, 0);
		l->config.device[2].tags = lan_tags(2, AD | 100, Q | 100);
		l->config.id = 0x7fff;
		lan_insert(l);
		for (u32 round = 0; round < 200; round++) {
			u32 vlan = prng_below(&s->random, 3);
			u32 at = 1 + prng_below(&s->random, MEMBERS);

			if (!out[vlan]) {
				offload(s, vlan);
				out[vlan] = true;
			} else if (!prng_below(&s->random, 4)) {
				change_neighbor(s, vlan);
			} else if (!prng_below(&s->random, 6)) {
				upload_and_roll_back(s, vlan);
			}
			if (!prng_below(&s->random, 6))
				fail_over(s);
			if (s->n[at] && prng_below(&s->random, 2))
				take_out(s, at);
			else if (s->n[at] < DEEP)
				put_in(s, at);
			lan_talk(l, prng_below(&s->random, 1200));
			lan_step(l, prng_below(&s->random, 2) * NS_PER_MS);
			(void)lan_hear(l);
			host_forget(l->w);
		}
		all_up(s);
		clear_out(s);
		lan_hear_all(l);
		settle(s);
		for (u32 vlan = 0; vlan < 3; vlan++)
			LAN_ON(l, vlan, world_upload(l->w, vlan * PER_VLAN, TALKING, true));
		assert_int_equal(vlan_remove(l->v), 0);
		end(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drivers_come_and_go),
		cmocka_unit_test(everything_at_once),
	};

	return RUN_TESTS(tests);
}
