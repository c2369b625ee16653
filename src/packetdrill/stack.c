/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "packetdrill/stack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/soft/priv.h"
#include "packetdrill/port.h"
#include "wire/ip.h"

enum {
	MTU_DEFAULT = 1500,
	MTU_MAX = 65535,
	BUFFERS_SMALL = 1024,
	BUFFERS_LARGE = 8,
	WSCALE = 8,           /* what Linux makes of a receive buffer of up to 15 MiB */
	RMEM_DEFAULT = 65535, /* the window of a SYN */
	WMEM_DEFAULT = 262144,
	HOP_LIMIT = 64,
	IP4_TCP_BYTES = 40,
	IP6_TCP_BYTES = 60,
	TURNS_MAX = 1000, /* at one moment: more is a machine that goes in circles */
};

static const u64 start_ns = 1000 * NS_PER_S;
static const u64 max_retransmit_ns = 924600 * NS_PER_MS; /* tcp_retries2 = 15 */

/* -- configuration ----------------------------------------------------------------------------- */

static bool parse_addr(const char *text, struct ip_addr *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET6, text, ret->b) == 1)
		return true;
	ret->b[10] = ret->b[11] = 0xff;
	return inet_pton(AF_INET, text, ret->b + 12) == 1;
}

static const char *read_flag(struct stack_config *c, const char *name, const char *value)
{
	const struct {
		const char *name;
		s32 *to;
	} sysctls[] = {
		{"tcp_timestamps", &c->timestamps},
		{"tcp_sack", &c->sack},
		{"tcp_window_scaling", &c->window_scaling},
		{"tcp_ecn", &c->ecn},
		{"tcp_rmem", &c->rmem},
		{"tcp_wmem", &c->wmem},
	};
	char *end;
	long n;

	if (!strcmp(name, "local"))
		return parse_addr(value, &c->local) ? NULL : "is not an address";
	if (!strcmp(name, "sysctl")) {
		c->read_sysctls = strcmp(value, "off") != 0;
		return c->read_sysctls ? "can be off only" : NULL;
	}
	n = strtol(value, &end, 0);
	if (end == value || *end || n < 0 || n > INT32_MAX)
		return "is not a number that makes sense";
	if (!strcmp(name, "mtu")) {
		c->mtu = (u32)n;
		return n < 68 || n > MTU_MAX ? "must be from 68 to 65535" : NULL;
	}
	if (!strcmp(name, "offload")) {
		c->offload_every = (u32)n;
		return NULL;
	}
	for (u32 i = 0; i < ARRAY_SIZE(sysctls); i++) {
		if (!strcmp(name, sysctls[i].name)) {
			*sysctls[i].to = (s32)n;
			return NULL;
		}
	}
	return "is not known; known are local, mtu, offload, sysctl, tcp_timestamps, tcp_sack, "
	       "tcp_window_scaling, tcp_ecn, tcp_rmem, tcp_wmem";
}

const char *stack_config_read(struct stack_config *ret, const char *flags, char text[256])
{
	char *copy, *next;
	const char *wrong = NULL;

	*ret = (struct stack_config){.mtu = MTU_DEFAULT,
	                             .read_sysctls = true,
	                             .timestamps = -1,
	                             .sack = -1,
	                             .window_scaling = -1,
	                             .ecn = -1,
	                             .rmem = -1,
	                             .wmem = -1};
	parse_addr("192.168.0.1", &ret->local);
	copy = strdup(flags ? flags : "");
	if (!copy)
		return "out of memory";
	for (char *item = strtok_r(copy, ", ", &next); item && !wrong;
	     item = strtok_r(NULL, ", ", &next)) {
		char *value = strchr(item, '=');

		if (value)
			*value++ = 0;
		wrong = read_flag(ret, item, value ? value : "");
		if (wrong) {
			snprintf(text, 256, "%.40s%s%.60s %s", item, value ? "=" : "",
			         value ? value : "", wrong);
			wrong = text;
		}
	}
	free(copy);
	return wrong;
}

/* A sysctl's value: the flag's, the kernel's (the middle one of three sizes), or the default. */
static s32 sysctl(const struct stack_config *c, s32 flag, const char *name, s32 otherwise)
{
	s32 n[3] = {otherwise, otherwise, otherwise};
	char path[80];
	FILE *f;
	int got;

	if (flag >= 0 || !c->read_sysctls)
		return flag >= 0 ? flag : otherwise;
	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	f = fopen(path, "re");
	if (!f)
		return otherwise;
	got = fscanf(f, "%d %d %d", &n[0], &n[1], &n[2]);
	fclose(f);
	return got == 3 ? n[1] : n[0];
}

/* -- making one -------------------------------------------------------------------------------- */

void stack_init(struct stack *k, const struct stack_config *config)
{
	*k = (struct stack){.config = *config, .now_ns = start_ns, .next_port = 40000};
}

void stack_free(struct stack *k)
{
	if (!k->machine)
		return;
	k->port.port.ops->destroy(&k->port.port);
	machine_destroy(k->machine);
	k->machine = NULL;
}

static void on_notice(void *ctx, const struct host_notice *notices, u32 n)
{
	struct stack *k = ctx;

	if (k->notice)
		k->notice(k->ctx, notices, n);
}

static struct tcp_engine_config engine_config(u32 seed)
{
	return (struct tcp_engine_config){
		.max_connections = STACK_CONNECTIONS,
		.max_paths = STACK_PATHS,
		.max_neighbors = 2,
		.hash_key = {1, (u8)seed},
		.seed = seed,
	};
}

static u8 options(const struct stack_config *c)
{
	u8 bits = 0;

	if (sysctl(c, c->timestamps, "tcp_timestamps", 1))
		bits |= TCP_OPT_TIMESTAMPS;
	if (sysctl(c, c->sack, "tcp_sack", 1))
		bits |= TCP_OPT_SACK;
	if (sysctl(c, c->window_scaling, "tcp_window_scaling", 1))
		bits |= TCP_OPT_WSCALE;
	/* 2, the kernel's default, is to answer only: the soft host offers what it accepts. */
	if (sysctl(c, c->ecn, "tcp_ecn", 2) == 1)
		bits |= TCP_OPT_ECN;
	return bits;
}

struct tcp_cached stack_default_settings(const struct stack_config *c)
{
	return (struct tcp_cached){
		.rcv_buf_bytes = (u32)(c->rmem >= 0 ? c->rmem : RMEM_DEFAULT),
		.snd_buf_bytes = (u32)(c->wmem >= 0 ? c->wmem : WMEM_DEFAULT),
		.hop_limit = HOP_LIMIT,
		.cc_algorithm = TCP_CC_CUBIC,
		.max_retransmit_ns = max_retransmit_ns,
		.keepalive_probes = 9,
		.keepalive_idle_ns = 7200 * NS_PER_S,
		.keepalive_interval_ns = 75 * NS_PER_S,
	};
}

static struct machine_config machine_config(struct stack *k)
{
	const struct stack_config *c = &k->config;
	u32 headers = ip_addr_is_v4(&c->local) ? IP4_TCP_BYTES : IP6_TCP_BYTES;
	struct machine_config m = {
		.soft = {.engine = engine_config(1),
	                 .local = c->local,
	                 .mac = script_mac,
	                 .max_listeners = STACK_LISTENERS,
	                 .settings = stack_default_settings(c),
	                 .options = options(c),
	                 .rcv_wscale = WSCALE,
	                 .mss = (u16)(c->mtu - headers)},
		.target = {{.connections = STACK_CONNECTIONS,
	                    .paths = STACK_PATHS,
	                    .neighbors = 2,
	                    .bufs = {.small = BUFFERS_SMALL, .large = BUFFERS_LARGE},
	                    .engine = engine_config(2)}},
		.targets = 1,
		.host = {.max_connections = STACK_CONNECTIONS,
	                 .max_paths = STACK_PATHS,
	                 .max_neighbors = 2,
	                 .max_posted = 16,
	                 .max_parked = 256},
		.ctx = k,
		.notice = on_notice,
	};

	return m;
}

int stack_start(struct stack *k)
{
	struct machine_config m;
	int err;

	if (k->machine)
		return 0;
	m = machine_config(k);
	k->machine = machine_create(&m);
	if (!k->machine)
		return -ENOMEM;
	script_port_init(&k->port, k->machine->pool);
	machine_plug(k->machine, 0, &k->port.port);
	machine_set_time(k->machine, k->now_ns);
	k->port.now_ns = k->now_ns;
	err = soft_neighbor(k->machine->soft, &(struct ip_addr){{1}}, &script_peer_mac, 0);
	return err;
}

int stack_route(struct stack *k, const struct ip_addr *remote)
{
	struct path_key key;

	if (!soft_path_key(k->machine->soft, remote, &key))
		return 0;
	return soft_route(k->machine->soft, remote, &(struct ip_addr){{1}}, k->config.mtu);
}

/* -- time -------------------------------------------------------------------------------------- */

u64 stack_next_ns(const struct stack *k)
{
	return k->machine ? machine_next_ns(k->machine) : UINT64_MAX;
}

void stack_set_time(struct stack *k, u64 now_ns)
{
	k->now_ns = max_of(k->now_ns, now_ns);
	k->port.now_ns = k->now_ns;
	if (k->machine)
		machine_set_time(k->machine, k->now_ns);
}

void stack_turn(struct stack *k)
{
	if (!k->machine)
		return;
	for (u32 i = 0; i < TURNS_MAX; i++) {
		k->again = false;
		machine_set_time(k->machine, k->now_ns);
		machine_receive(k->machine);
		if (k->turned)
			k->turned(k->ctx);
		machine_send(k->machine);
		if (!k->again && machine_next_ns(k->machine) > k->now_ns)
			break;
	}
}

/* -- packets ----------------------------------------------------------------------------------- */

int stack_send(struct stack *k, const void *packet, size_t len)
{
	struct wire_ip ip;
	int err;

	if (!k->machine)
		return 0; /* nobody is there yet */
	if (wire_ip_parse(packet, (u32)len, &ip) == WIRE_OK && (err = stack_route(k, &ip.src)))
		return err;
	err = script_port_push(&k->port, packet, len);
	if (!err)
		stack_turn(k);
	return err;
}

struct packet_out *stack_receive(struct stack *k)
{
	return k->machine ? script_port_pop(&k->port) : NULL;
}

/* -- moves ------------------------------------------------------------------------------------- */

u32 stack_move(struct stack *k, bool to_target)
{
	struct host_move moves[STACK_CONNECTIONS];
	handle conns[STACK_CONNECTIONS];
	struct host_usage usage;
	struct host *h;
	u32 n;

	k->at_target = to_target;
	if (!k->machine || k->moving)
		return 0;
	k->moving = true;
	h = k->machine->host;
	n = k->connections(k->ctx, conns, STACK_CONNECTIONS);
	for (u32 i = 0; i < n; i++)
		moves[i] = (struct host_move){.conn = conns[i]};
	if (n && !(to_target ? host_offload(h, moves, n, true) : host_upload(h, moves, n))) {
		for (u32 i = 0; i < TURNS_MAX && host_busy(h); i++)
			stack_turn(k);
	}
	k->moving = false;
	host_usage(h, &usage);
	return usage.offloaded;
}

void stack_event(struct stack *k)
{
	k->events++;
	if (k->config.offload_every && k->events % k->config.offload_every == 0)
		stack_move(k, !k->at_target);
}

bool stack_is_at_target(const struct stack *k, handle host)
{
	struct host_conn_info info;

	return !host_conn_info(k->machine->host, host, &info) && info.side == HOST_IN_CHIMNEY;
}

/* The target's own engine is looked into: a query would hide how much lies in the queues. */
bool stack_look(struct stack *k, u64 soft, handle host, struct tcp_state *ret_state)
{
	struct host_conn_info info;
	u32 eng;

	if (host_conn_info(k->machine->host, host, &info) || info.side != HOST_IN_CHIMNEY)
		return soft_look(k->machine->soft, soft, ret_state);
	eng = target_connection(machine_target(k->machine), info.device);
	if (eng == NIL)
		return false;
	tcp_conn_export(target_engine(machine_target(k->machine)), eng, k->now_ns, ret_state);
	return true;
}

bool stack_accept(struct stack *k, struct stack_accepted *ret)
{
	const struct soft_conn *c;

	if (!k->machine || !soft_accept(k->machine->soft, &ret->soft))
		return false;
	c = soft_find(k->machine->soft, ret->soft);
	ret->remote = c->remote;
	ret->local_port = c->local_port;
	ret->remote_port = c->remote_port;
	return true;
}

void stack_settings(struct stack *k, u64 soft, handle host, const struct tcp_cached *settings)
{
	const struct soft_conn *c = soft_find(k->machine->soft, soft);

	/* The host passes it on to the target where that has the connection. */
	(void)!host_conn_settings(k->machine->host, host, settings);
	if (c && c->eng != NIL)
		tcp_conn_update(soft_engine(k->machine->soft), c->eng, settings, k->now_ns);
}
