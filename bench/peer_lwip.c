/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "peer_lwip.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "lwip_stack.h"

enum { OP_SETUP = 1, OP_RR, OP_BULK, RUN_NS = 300000000, SERVER = 0, CLIENT = 1, PORT = 7 };

struct lwip_state {
	const struct lwip_stack_api *stack[2];
};

static int fail(struct bench_msg *msg, int err, const char *what)
{
	snprintf(msg->why, sizeof(msg->why), "%s", what);
	return err;
}

/* The module lies beside the program. */
static int load_stack(const struct lwip_stack_api **ret_api, struct bench_msg *msg)
{
	char path[512];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 64);
	lwip_stack_open_fn open_stack;
	char *slash;
	void *module;

	if (len <= 0)
		return fail(msg, -errno, "readlink of /proc/self/exe");
	path[len] = '\0';
	slash = strrchr(path, '/');
	snprintf(slash + 1, 64, "chimney-bench-lwip.so");
	module = dlmopen(LM_ID_NEWLM, path, RTLD_NOW | RTLD_LOCAL);
	if (!module)
		return fail(msg, -ENOENT, dlerror());
	open_stack = (lwip_stack_open_fn)dlsym(module, LWIP_STACK_OPEN);
	if (!open_stack)
		return fail(msg, -ENOENT, dlerror());
	*ret_api = open_stack();
	return 0;
}

/* Carries frames until neither end has any. */
static void run_until_quiet(struct lwip_state *s)
{
	while (s->stack[SERVER]->drain() + s->stack[CLIENT]->drain())
		;
}

static int connect_all(struct lwip_state *s, u32 n, struct bench_msg *msg)
{
	for (u32 i = 0; i < n; i++) {
		if (s->stack[CLIENT]->connect(BENCH_LOCAL_IP, PORT) < 0)
			return fail(msg, -ENOMEM, "lwIP does not take a connection");
		run_until_quiet(s);
	}
	if (s->stack[CLIENT]->load->open != n || s->stack[SERVER]->load->open != n)
		return fail(msg, -EIO, "lwIP connections are not established");
	return 0;
}

static int op_setup(struct lwip_state *s, struct bench_msg *msg)
{
	static const u8 mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
	static const u32 ip[2] = {BENCH_LOCAL_IP, BENCH_REMOTE_IP};
	int err = 0;

	for (u32 i = 0; err == 0 && i < 2; i++)
		err = load_stack(&s->stack[i], msg);
	for (u32 i = 0; err == 0 && i < 2; i++)
		err = s->stack[i]->init(ip[i], mac[i], s->stack[!i]);
	if (err == 0)
		err = s->stack[SERVER]->listen(PORT, msg->v[1]);
	return err ? err : connect_all(s, (u32)msg->v[0], msg);
}

/* Carries frames for about `ns`; looks at the clock and at lwIP's timers now and then. */
static int run_for(struct lwip_state *s, u64 ns, struct bench_msg *msg)
{
	u64 end = bench_now_ns() + ns;

	do {
		for (u32 i = 0; i < 64; i++)
			if (s->stack[SERVER]->drain() + s->stack[CLIENT]->drain() == 0)
				break;
		s->stack[SERVER]->timers();
		s->stack[CLIENT]->timers();
	} while (bench_now_ns() < end);
	if (s->stack[SERVER]->load->failed || s->stack[CLIENT]->load->failed)
		return fail(msg, -EIO, "a connection of lwIP failed");
	return 0;
}

static int op_run(struct lwip_state *s, struct bench_msg *msg)
{
	struct lwip_load *server = s->stack[SERVER]->load, *client = s->stack[CLIENT]->load;
	bool rr = msg->op == OP_RR;
	u64 before = rr ? client->messages : server->bytes, start = bench_cpu_ns();
	void (*run)(bool) = rr ? s->stack[CLIENT]->rr : s->stack[CLIENT]->bulk;
	int err;

	run(true);
	err = run_for(s, msg->v[0], msg);
	msg->v[0] = (rr ? client->messages : server->bytes) - before;
	msg->v[1] = bench_cpu_ns() - start;
	run(false);
	run_until_quiet(s);
	if (err == 0 && client->outstanding)
		return fail(msg, -EIO, "lwIP lost a request");
	return err;
}

static int handle(void *state, struct bench_msg *msg)
{
	return msg->op == OP_SETUP ? op_setup(state, msg) : op_run(state, msg);
}

int lwip_world_open(struct lwip_world *world, u32 n, bool echo, struct bench_run *run)
{
	struct lwip_state state = {0};
	struct bench_child_config config = {.ns = -1, .cpu = 1, .handle = handle, .state = &state};
	struct bench_msg setup = {.op = OP_SETUP, .v = {n, echo}};
	int err = bench_child_start(&world->child, &config);

	if (err)
		return bench_fail(run, err, "cannot start a child process");
	return bench_child_call(&world->child, &setup, run);
}

static int measure(struct lwip_world *world, u32 op, double *ret_per_s, struct bench_run *run)
{
	struct bench_msg msg = {.op = op, .v = {RUN_NS}};
	int err = bench_child_call(&world->child, &msg, run);

	*ret_per_s = err ? 0 : (double)msg.v[0] * 1e9 / (double)msg.v[1];
	return err;
}

int lwip_world_rr(struct lwip_world *world, double *ret_per_s, struct bench_run *run)
{
	return measure(world, OP_RR, ret_per_s, run);
}

int lwip_world_bulk(struct lwip_world *world, double *ret_per_s, struct bench_run *run)
{
	return measure(world, OP_BULK, ret_per_s, run);
}

void lwip_world_close(struct lwip_world *world)
{
	bench_child_stop(&world->child);
}
