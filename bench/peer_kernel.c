/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "peer_kernel.h"

#include <errno.h>

enum { RUN_NS = 300000000 };

static int start_children(struct kernel_world *world, const struct kernel_world_config *config)
{
	struct load_state none = {0};
	struct bench_child_config child = {.ns = world->net.ns[BENCH_LOCAL],
	                                   .cpu = 1,
	                                   .handle = load_server_handle,
	                                   .state = &none};
	int err;

	if (config->server) {
		child.handle = config->server;
		child.state = config->server_state;
	}
	err = bench_child_start(&world->child[BENCH_LOCAL], &child);
	if (err)
		return err;
	child.ns = world->net.ns[BENCH_REMOTE];
	child.cpu = config->one_core ? 1 : 0;
	child.handle = config->client ? config->client : load_client_handle;
	child.state = config->client ? config->client_state : &none;
	return bench_child_start(&world->child[BENCH_REMOTE], &child);
}

static int connect_all(struct kernel_world *world, u32 n, struct bench_run *run)
{
	struct bench_msg listen = {.op = LOAD_OP_LISTEN, .v = {BENCH_LOCAL_IP, BENCH_PORT}};
	struct bench_msg accept = {.op = LOAD_OP_ACCEPT, .v = {n}};
	struct bench_msg connect = {.op = LOAD_OP_CONNECT, .v = {n, BENCH_LOCAL_IP, BENCH_PORT}};
	int err = bench_child_call(&world->child[BENCH_LOCAL], &listen, run);

	if (err == 0)
		err = bench_child_send(&world->child[BENCH_LOCAL], &accept);
	if (err == 0)
		err = bench_child_call(&world->child[BENCH_REMOTE], &connect, run);
	if (err == 0)
		err = bench_child_wait(&world->child[BENCH_LOCAL], &accept, run);
	return err;
}

static int forbid_gso(struct kernel_world *world, struct bench_run *run)
{
	if (bench_net_shell(world->net.ns[BENCH_LOCAL], "ip link set cb0 gso_max_segs 1") < 0 ||
	    bench_net_shell(world->net.ns[BENCH_REMOTE], "ip link set cb1 gso_max_segs 1") < 0)
		return bench_fail(run, -EIO, "cannot switch GSO off");
	return 0;
}

void kernel_world_init(struct kernel_world *world)
{
	*world = (struct kernel_world){.net.ns = {-1, -1}};
}

int kernel_world_open(struct kernel_world *world, const struct kernel_world_config *config,
                      struct bench_run *run)
{
	int err = bench_net_open(&world->net, run);

	world->one_core = config->one_core;
	if (err == 0 && config->no_gso)
		err = forbid_gso(world, run);
	if (err)
		return err;
	err = start_children(world, config);
	if (err)
		return bench_fail(run, err, "cannot start a child process");
	return connect_all(world, config->n, run);
}

/* Starts the server's loop, runs the client's, ends the server's. */
static int run_load(struct kernel_world *world, u32 server_op, u32 client_op,
                    struct load_figures *ret, struct bench_run *run)
{
	struct bench_msg serve = {.op = server_op}, stop = {.op = LOAD_OP_STOP};
	struct bench_msg load = {.op = client_op, .v = {RUN_NS}};
	int err = bench_child_send(&world->child[BENCH_LOCAL], &serve);

	if (err == 0)
		err = bench_child_call(&world->child[BENCH_REMOTE], &load, run);
	if (err)
		return err;
	err = bench_child_send(&world->child[BENCH_LOCAL], &stop);
	if (err == 0)
		err = bench_child_wait(&world->child[BENCH_LOCAL], &serve, run);
	if (err == 0)
		err = bench_child_wait(&world->child[BENCH_LOCAL], &stop, run);
	if (err || load.v[0] == 0 || serve.v[0] == 0)
		return err ? err : bench_fail(run, -EIO, "nothing was transferred");
	if (world->one_core) /* what others do on that core meanwhile does not count */
		load.v[1] = load.v[2] + serve.v[1];
	ret->per_s = (double)load.v[0] * 1e9 / (double)load.v[1];
	ret->server_cpu_ns = (double)serve.v[1] / (double)serve.v[0];
	return 0;
}

int kernel_world_rr(struct kernel_world *world, struct load_figures *ret, struct bench_run *run)
{
	return run_load(world, LOAD_OP_ECHO, LOAD_OP_RR, ret, run);
}

int kernel_world_bulk(struct kernel_world *world, struct load_figures *ret, struct bench_run *run)
{
	return run_load(world, LOAD_OP_SWALLOW, LOAD_OP_BULK, ret, run);
}

int kernel_world_idle(struct kernel_world *world, double *ret_cpu_ns, struct bench_run *run)
{
	struct bench_msg msg = {.op = LOAD_OP_IDLE, .v = {NS_PER_S}};
	int err = bench_child_call(&world->child[BENCH_LOCAL], &msg, run);

	*ret_cpu_ns = err ? 0 : (double)msg.v[1];
	return err;
}

void kernel_world_close(struct kernel_world *world)
{
	bench_child_stop(&world->child[BENCH_LOCAL]);
	bench_child_stop(&world->child[BENCH_REMOTE]);
	bench_net_close(&world->net);
}
