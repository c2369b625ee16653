/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/plant.h"

#include "base/csum.h"
#include "sim/stream.h"

enum {
	IP_OFF = 14,
	TCP_OFF = IP_OFF + 20, /* these faults are for IPv4 */
};

/* A stream whose end at the machine is open, on the wanted side. */
static u32 find(struct world *w, u32 machine, u32 pick, u32 side, u32 *ret_end)
{
	for (u32 i = 0; i < w->n_streams; i++) {
		u32 stream = (pick + i) % w->n_streams;

		for (*ret_end = 0; *ret_end < 2; ++*ret_end) {
			const struct stream_end *e = &w->streams[stream].end[*ret_end];
			struct host_conn_info info;

			if (e->machine == machine && e->adopted && !e->released && !e->fin &&
			    !w->streams[stream].posted &&
			    !host_conn_info(w->machine[machine]->host, e->host, &info) &&
			    info.side == side)
				return stream;
		}
	}
	return NIL;
}

/* Runs at the target, and is imported into the host's stack too. */
static bool run_twice(struct world *w, u32 machine, u32 pick)
{
	struct machine *m = w->machine[machine];
	const struct backend b = soft_backend(m->soft);
	u32 end, stream = find(w, machine, pick, HOST_IN_CHIMNEY, &end);
	struct host_conn_info info;
	struct tcp_state state;
	struct move move = {.tcp = &state};

	if (stream == NIL)
		return false;
	(void)!host_conn_info(m->host, w->streams[stream].end[end].host, &info);
	tcp_conn_export(target_engine(machine_target(m)),
	                target_connection(machine_target(m), info.device), w->now_ns, &state);
	move.conn = w->streams[stream].end[end].soft;
	b.ops->import(b.impl, &move, 1, m->side[m->active].pool);
	return move.status == STATUS_OK;
}

/* A byte that the peer was told of is thrown away. */
static bool lose_byte(struct world *w, u32 machine, u32 pick)
{
	u32 end, stream = find(w, machine, pick, HOST_IN_STACK, &end);

	if (stream != NIL)
		w->streams[stream].end[end].received--;
	return stream != NIL;
}

/* A neighbor comes to the target behind the host's back. */
static bool add_neighbor(struct world *w, u32 machine)
{
	static u8 mem[65536] ALIGNED(64);
	struct machine *m = w->machine[machine];
	const struct ip_addr hop = net_hop_addr(3, w->config.host[machine].v6);
	struct offload_request request;
	struct neighbor_key key;
	struct block_list list;
	u32 block;

	block_list_init(&list, mem, 1, 1, 1, 1);
	if (block_list_add(&list, NIL, LAYER_NEIGHBOR, true, &block) ||
	    soft_neighbor_key(m->soft, &hop, &key, block_neighbor(&list, block_at(&list, block))))
		return false;
	block_at(&list, block)->flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED;
	request = (struct offload_request){.call = BLOCK_CALL_OFFLOAD, .list = &list};
	return !target_device(machine_target(m)).ops->offload(machine_target(m), &request);
}

static bool reset(struct world *w, u32 machine, u32 pick)
{
	u32 end, stream = find(w, machine, pick, HOST_IN_STACK, &end);
	struct host_stack s = soft_stack(w->machine[machine]->soft);

	return stream != NIL && !s.disconnect(s.impl, w->streams[stream].end[end].soft, true);
}

bool plant(struct world *w, u32 machine, enum check check, u32 pick)
{
	struct machine *m = w->machine[machine];
	struct recv_call call = {.conn = 0x7777000000001234, .flags = RECV_NOW};
	u32 end, stream;

	switch (check) {
	case CHECK_OWNER:
		return run_twice(w, machine, pick);
	case CHECK_ACKED:
		return lose_byte(w, machine, pick);
	case CHECK_REFS:
		return add_neighbor(w, machine);
	case CHECK_LEGAL:
		m->device.data->receive(m->device.impl, &call, 1);
		return true;
	case CHECK_MEMORY:
		return buf_alloc(m->pool, BUF_SMALL) != NIL;
	case CHECK_RESET:
		return reset(w, machine, pick);
	case CHECK_PROGRESS:
		net_set_up(&w->net, machine, false);
		return true;
	case CHECK_RESULT:
		stream = find(w, machine, pick, HOST_IN_STACK, &end);
		if (stream != NIL)
			soft_close(m->soft, w->streams[stream].end[end].soft);
		return stream != NIL;
	default: /* in frames and bytes, as they pass */
		w->planted = check;
		w->planted_at = machine;
		return true;
	}
}

/* -- as they pass ------------------------------------------------------------------------------ */

/* The host's next frame has the ID of the target's last one. */
static void same_id(struct world *w, u8 *ip, bool by_target)
{
	be16 sum;

	if (by_target) {
		memcpy(w->planted_id, ip + 4, 2);
		return;
	}
	memcpy(ip + 4, w->planted_id, 2);
	ip[10] = ip[11] = 0;
	sum = csum_finish(csum_bytes(0, ip, 20));
	memcpy(ip + 10, &sum, sizeof(sum));
}

void plant_frame(struct world *w, u32 machine, struct tx_frame *f, bool by_target)
{
	u8 *h = f->header + f->header_off;

	if (machine != w->planted_at || f->header_len < TCP_OFF + 20 || h[TCP_OFF + 13] & 2)
		return;
	if (w->planted == CHECK_EDGE)
		h[TCP_OFF + 14] = h[TCP_OFF + 15] = 0;
	else if (w->planted == CHECK_SEQUENCE && f->payload_len)
		h[TCP_OFF + 7]++;
	else if (w->planted == CHECK_IP_ID)
		same_id(w, h + IP_OFF, by_target);
}

void plant_bytes(struct world *w, u32 stream, u32 end, u8 *bytes)
{
	const struct stream_end *e = &w->streams[stream].end[end];

	if (w->planted == CHECK_BYTES && e->machine == w->planted_at)
		bytes[0]++;
}
