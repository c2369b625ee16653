/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The story of `chimney demo` on the simulated wire: two machines in virtual time, each a soft host
 * and a software target. No privileges, and the same bytes for the same seed.
 */
#include "cli/demo.h"
#include "sim/world.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

enum {
	SIM_BYTES = 60000, /* of each direction of each stream, about, */
	SIM_BYTES_ALL = 60 * 1000 * 1000, /* and of all of them together */
	SIM_CONNECTIONS_MAX = 100000,
	SIM_DELAY_US = 500,
	SIM_MTU_AFTER = 1400,
};

#define SIM_HALF 0x5555555555555555ull

struct sim_story {
	const struct demo_options *options;
	struct demo_outcome *out;
	struct world *world;
	u32 server; /* the machine whose connections move */
};

static u64 clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

static int sim_wrong(struct sim_story *s, const struct world *w, const char *step)
{
	snprintf(s->out->text, sizeof(s->out->text), "%s: %.200s", step,
		 w->wrong[0] ? w->wrong : "it did not come to its end");
	return -EIO;
}

static struct world *make_world(const struct demo_options *o)
{
	const struct sim_link link = { .delay_ns = SIM_DELAY_US * NS_PER_US / 2 };
	struct world_config config = {
		.seed = o->seed,
		.conns_max = o->connections,
		.n_hosts = 2,
		.host = { { .name = "client", .link = link }, { .name = "server", .link = link } },
	};
	const struct world_open open = {
		.from = 0,
		.to = 1,
		.conns = o->connections,
		.bytes = min_of((u32)SIM_BYTES, SIM_BYTES_ALL / o->connections + 1000),
		.keep_open = true,
	};
	struct world *w = world_create(&config);

	if (w && !world_open(w, &open)) {
		world_destroy(w);
		w = NULL;
	}
	return w;
}

/* Segments that the peers sent again, in the same world without moves. */
static int sim_control_run(struct sim_story *s, u64 *ret_retransmits)
{
	struct world *w = make_world(s->options);
	int err = 0;

	if (!w)
		return -ENOMEM;
	if (world_connect(w) && world_finish(w))
		*ret_retransmits = world_retransmits(w, !s->server);
	else
		err = sim_wrong(s, w, "the control run");
	world_destroy(w);
	return err;
}

static int move(struct sim_story *s, u64 mask, bool upload, u32 *ret_moved)
{
	struct host_report report;
	u64 start = clock_ns();
	double each;

	if (!world_move(s->world, s->server, mask, upload, ret_moved))
		return sim_wrong(s, s->world, upload ? "upload" : "offload");
	host_report(s->world->machine[s->server]->host, &report);
	each = (double)(clock_ns() - start) / 1e3 / max_of(report.moved, 1u);
	if (upload) {
		s->out->upload_us_p50 = s->out->upload_us_p99 = each;
	} else {
		s->out->offload_us_p50 = s->out->offload_us_p99 = each;
	}
	demo_say("  %u %s, %.2f us each of this processor\n", report.moved,
		 upload ? "uploaded" : "offloaded", each);
	return 0;
}

/* The next hop gets another MAC, every path another MTU. */
static void sim_changes(struct sim_story *s)
{
	static const struct mac_addr mac = { { 0x02, 0x63, 0x68, 0x6d, 0x79, 0x02 } };
	struct host *h = s->world->machine[s->server]->host;
	u64 before = host_counters(h)->updates;
	struct neighbor_key hops[WORLD_HOPS];
	struct host_path_info info;
	u32 cursor = 0, n = 0;

	while (host_path_next(h, &cursor, &info)) {
		bool seen = false;

		for (u32 i = 0; i < n; i++)
			seen |= !memcmp(&hops[i], &info.neighbor, sizeof(hops[i]));
		if (!seen && n < WORLD_HOPS)
			hops[n++] = info.neighbor;
		host_path_mtu(h, &info.key, SIM_MTU_AFTER);
		s->out->paths++;
	}
	for (u32 i = 0; i < n; i++)
		host_neighbor_changed(h, &hops[i], &mac, LINK_DIX);
	s->out->neighbors = n;
	s->out->updates_sent = host_counters(h)->updates - before;
	demo_say("* %u next hops have another MAC, %llu paths another MTU: %llu updates\n", n,
		 (unsigned long long)s->out->paths, (unsigned long long)s->out->updates_sent);
}

static bool pass(struct sim_story *s, u64 ms)
{
	return world_run(s->world, s->world->now_ns + ms * NS_PER_MS);
}

static int sim_story(struct sim_story *s)
{
	u32 moved;
	int err;

	demo_say("* two machines on a simulated wire, seed %llu; %u streams\n",
		 (unsigned long long)s->options->seed, s->options->connections);
	if (!world_connect(s->world) || !pass(s, 2))
		return sim_wrong(s, s->world, "opening");
	s->out->connections = s->options->connections;
	demo_say("* offload every other one, in the middle of the traffic\n");
	err = move(s, SIM_HALF, false, &moved);
	if (err)
		return err;
	demo_say("* offload the rest over the paths that are there\n");
	err = move(s, UINT64_MAX, false, &moved);
	if (err)
		return err;
	s->out->offloaded = moved;
	sim_changes(s);
	if (!pass(s, 2))
		return sim_wrong(s, s->world, "in the target");
	demo_say("* upload all\n");
	err = move(s, UINT64_MAX, true, &moved);
	if (err)
		return err;
	s->out->uploaded = moved;
	demo_say("* every stream to its end\n");
	if (!world_finish(s->world))
		return sim_wrong(s, s->world, "the end");
	return 0;
}

/* Every byte was compared by the world itself, which stops at the first that is wrong. */
static void sim_count(struct sim_story *s, u64 control)
{
	u64 sent_again = world_retransmits(s->world, !s->server);

	for (u32 i = 0; i < s->world->n_streams; i++) {
		s->out->bytes_verified += s->world->streams[i].end[0].received;
		s->out->bytes_verified += s->world->streams[i].end[1].received;
	}
	s->out->messages = s->world->turns;
	s->out->peer_retransmissions = (s64)sent_again - (s64)control;
}

int demo_run_sim(const struct demo_options *options, struct demo_outcome *outcome)
{
	struct sim_story s = { .options = options, .out = outcome, .server = 1 };
	u64 control = 0;
	int err;

	snprintf(outcome->mode, sizeof(outcome->mode), "sim");
	if (options->connections > SIM_CONNECTIONS_MAX) {
		snprintf(outcome->text, sizeof(outcome->text),
			 "the simulated wire takes at most %u streams", SIM_CONNECTIONS_MAX);
		return -E2BIG;
	}
	err = sim_control_run(&s, &control);
	if (err)
		return err;
	s.world = make_world(options);
	if (!s.world)
		return -ENOMEM;
	err = sim_story(&s);
	if (!err) {
		sim_count(&s, control);
		outcome->ok = outcome->offloaded == outcome->connections &&
			      outcome->uploaded == outcome->connections;
	} else {
		outcome->bytes_wrong = s.world->wrong[0] != 0;
	}
	world_destroy(s.world);
	return err;
}
