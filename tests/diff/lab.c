// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "lab_internal.h"

#include "port/gather.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { BATCH = 64, FRAME_MAX = 2048 };

const struct ip_addr lab_addr[LAB_ENDS] = {
	{{[10] = 0xff, [11] = 0xff, 10, 77, 0, 1}},
	{{[10] = 0xff, [11] = 0xff, 10, 77, 0, 2}},
};
const struct mac_addr lab_mac[LAB_ENDS] = {{{2, 0, 0, 0x77, 0, 1}}, {{2, 0, 0, 0x77, 0, 2}}};

int lab_fail(struct lab *l, int err, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(l->why, LAB_WHY_BYTES, format, ap);
	va_end(ap);
	return err;
}

static u64 clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

/* -- streams ----------------------------------------------------------------------------------- */

const u8 *lab_bytes(u64 position, u32 *len)
{
	static u8 pattern[2 * LAB_PATTERN];
	static bool made;
	u32 at = (u32)(position % LAB_PATTERN);

	for (u32 i = 0; !made && i < sizeof(pattern); i++)
		pattern[i] = (u8)((i % LAB_PATTERN) * 2654435761u >> 23);
	made = true;
	*len = min_of(*len, (u32)LAB_PATTERN);
	return pattern + at;
}

void lab_received(struct lab *l, u32 conn, const u8 *bytes, s64 n)
{
	struct lab_stream *s = &l->stream[conn];

	if (n < 0) {
		s->fin_got = true;
		s->finished = s->received == l->config->bytes && !s->wrong;
		l->result.finished += s->finished;
		return;
	}
	while (n > 0) {
		u32 len = (u32)n;
		const u8 *want = lab_bytes(s->received, &len);

		if (memcmp(bytes, want, len))
			s->wrong += len;
		else
			l->result.bytes += len;
		s->received += len;
		bytes += len;
		n -= len;
	}
}

u64 lab_to_send(const struct lab *l, u32 conn)
{
	return l->config->bytes ? l->config->bytes - l->stream[conn].sent : UINT64_MAX;
}

/* -- making and ending ------------------------------------------------------------------------- */

static void *map(size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

static struct sim_wire_config wire_config(const struct lab *l)
{
	return (struct sim_wire_config){
		.seed = l->config->seed,
		.link = {l->config->link, l->config->link},
		.mtu_bytes = 1500,
		.frames_max = 16384,
		.superframes_max = 16,
	};
}

static int open_wire(struct lab *l)
{
	struct sim_wire_config config = wire_config(l);
	struct buf_pool *pools[LAB_ENDS] = {&l->pool[0], &l->pool[1]};

	for (u32 end = 0; end < LAB_ENDS; end++) {
		l->pool_config[end] =
			(struct buf_pool_config){.small = 16384, .large = end ? 2048 : 1};
		l->pool_mem[end] = map(buf_pool_bytes(&l->pool_config[end]));
		if (!l->pool_mem[end])
			return lab_fail(l, -ENOMEM, "no memory for buffers");
		buf_pool_init(&l->pool[end], l->pool_mem[end], &l->pool_config[end]);
	}
	l->wire_mem = map(sim_wire_bytes(&config));
	if (!l->wire_mem)
		return lab_fail(l, -ENOMEM, "no memory for a wire");
	l->wire = sim_wire_init(l->wire_mem, &config, pools);
	sim_wire_set_now(l->wire, l->now_ns);
	for (u32 end = 0; end < LAB_ENDS; end++)
		l->port[end] = sim_wire_port(l->wire, end);
	return 0;
}

static int open_lab(struct lab *l)
{
	int err;

	for (u32 end = 0; end < LAB_ENDS; end++) {
		struct lab_kernel *k = &l->kernel[end];

		k->ns = k->tap = k->listener = -1;
		for (u32 i = 0; i < LAB_CONNS_MAX; i++)
			k->fd[i] = -1;
	}
	l->now_ns = clock_ns();
	err = open_wire(l);
	if (!err)
		err = lab_kernel_open(l, LAB_PEER);
	if (!err)
		err = l->config->subject == LAB_OURS ? lab_ours_open(l)
		                                     : lab_kernel_open(l, LAB_SUBJECT);
	return err;
}

static void close_lab(struct lab *l)
{
	struct sim_wire_config config = wire_config(l);

	lab_ours_close(l);
	for (u32 end = 0; end < LAB_ENDS; end++) {
		lab_kernel_close(l, end);
		if (l->pool_mem[end])
			munmap(l->pool_mem[end], buf_pool_bytes(&l->pool_config[end]));
	}
	if (l->wire_mem)
		munmap(l->wire_mem, sim_wire_bytes(&config));
}

/* -- running ----------------------------------------------------------------------------------- */

/* What has arrived at an end, to whoever is there. */
static u32 deliver(struct lab *l, u32 end)
{
	bool ours = end == LAB_SUBJECT && l->config->subject == LAB_OURS;
	bool receiver = (end == LAB_PEER) == l->config->subject_sends;
	struct buf_pool *pool = &l->pool[end];
	struct rx_frame frames[BATCH];
	u8 bytes[FRAME_MAX];
	int n = l->port[end]->ops->receive(l->port[end], frames, BATCH);

	for (int i = 0; i < n; i++) {
		u32 len = buf_chain_copy(pool, frames[i].buf, 0, bytes, sizeof(bytes));

		frames[i].port = 0;
		frames[i].verdict = FRAME_PENDING;
		if (receiver)
			lab_watch_receiver(l, bytes, len);
		if (!ours) {
			lab_kernel_deliver(l, end, bytes, len);
			buf_put_chain(pool, frames[i].buf);
		}
	}
	if (ours && n > 0)
		lab_ours_input(l, frames, (u32)n);
	return n > 0 ? (u32)n : 0;
}

static int turn(struct lab *l, bool *ret_busy)
{
	u32 n = 0;
	int err;

	l->now_ns = clock_ns();
	sim_wire_set_now(l->wire, l->now_ns);
	n += deliver(l, LAB_PEER) + deliver(l, LAB_SUBJECT);
	err = lab_kernel_work(l, LAB_PEER);
	if (!err)
		err = l->config->subject == LAB_OURS ? lab_ours_work(l)
		                                     : lab_kernel_work(l, LAB_SUBJECT);
	n += lab_kernel_pump(l, LAB_PEER);
	if (l->config->subject == LAB_KERNEL)
		n += lab_kernel_pump(l, LAB_SUBJECT);
	*ret_busy = n != 0;
	return err;
}

static u64 next_ns(const struct lab *l)
{
	u64 next = min_of(sim_wire_next_ns(l->wire, 0), sim_wire_next_ns(l->wire, 1));

	if (l->config->subject == LAB_OURS)
		next = min_of(next, tcp_next_deadline(l->ours.e));
	return min_of(next, l->now_ns + NS_PER_MS); /* a socket may have become writable */
}

static void sleep_until(const struct lab *l, u64 at_ns)
{
	struct pollfd fds[LAB_ENDS] = {{.fd = l->kernel[0].tap, .events = POLLIN},
	                               {.fd = l->kernel[1].tap, .events = POLLIN}};
	u64 left = at_ns > l->now_ns ? at_ns - l->now_ns : 0;
	struct timespec t = {0, (long)left};

	if (left)
		ppoll(fds, LAB_ENDS, &t, NULL);
}

static bool is_done(const struct lab *l)
{
	u64 limit = l->start_ns + l->config->duration_ns;
	u32 ended = 0;

	for (u32 i = 0; i < l->config->conns; i++)
		ended += l->stream[i].fin_got;
	return l->now_ns >= limit || (l->config->bytes && ended == l->config->conns);
}

static int run(struct lab *l)
{
	bool busy;
	int err = lab_kernel_start(l, LAB_PEER);

	l->now_ns = l->start_ns = clock_ns();
	if (!err)
		err = l->config->subject == LAB_OURS ? lab_ours_start(l)
		                                     : lab_kernel_start(l, LAB_SUBJECT);
	while (!err && !is_done(l)) {
		err = turn(l, &busy);
		if (!busy)
			sleep_until(l, next_ns(l));
	}
	l->result.elapsed_ns = l->now_ns - l->start_ns;
	/* The last FINs and ACKs may still be under way. */
	for (u64 end = l->now_ns + 4 * l->config->link.delay_ns + 50 * NS_PER_MS;
	     !err && l->config->bytes && l->now_ns < end;) {
		err = turn(l, &busy);
		sleep_until(l, next_ns(l));
	}
	return err;
}

int lab_run(const struct lab_config *config, struct lab_result *ret, char *why)
{
	struct lab *l = calloc(1, sizeof(*l));
	int err;

	why[0] = 0;
	if (!l)
		return -ENOMEM;
	l->config = config;
	l->why = why;
	err = open_lab(l);
	if (!err)
		err = run(l);
	for (u32 dir = 0; l->wire && dir < LAB_ENDS; dir++) {
		struct sim_link_counters c;

		sim_wire_counters(l->wire, dir, &c);
		l->result.lost += c.lost + c.burst_lost + c.overflow;
	}
	for (u32 i = 0; i < config->conns; i++)
		l->result.wrong += l->stream[i].wrong;
	*ret = l->result;
	close_lab(l);
	free(l);
	return err;
}
