/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "ours_move.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "chimney/chimney.h"

enum { LARGE_BYTES = 65536 };

static const char *lib_error(const char *call)
{
	static char text[160];

	snprintf(text, sizeof(text), "%s: %s", call, chimney_error());
	return text;
}

int ours_move_open(struct ours_move *m, const struct conn_set *set, const char **ret_what)
{
	struct chimney_context_options options = CHIMNEY_CONTEXT_OPTIONS_INIT;
	int err;

	options.interface = "cb0";
	options.flags = CHIMNEY_LANES_CALLER;
	options.max_connections = max_of(set->n, 1024u);
	if (set->queued) /* both queues of each connection lie in the target's buffers */
		options.large_buffers = 2 * (set->queued / LARGE_BYTES + 1) * set->n;
	m->max_stalls = 4 * max_of(set->n, 1024u);
	m->conns = calloc(set->n, sizeof(struct chimney_conn *));
	m->results = calloc(set->n, sizeof(*m->results));
	m->stall_ns = calloc(m->max_stalls, sizeof(*m->stall_ns));
	*ret_what = "memory";
	if (!m->conns || !m->results || !m->stall_ns)
		return -ENOMEM;
	err = chimney_context_create(&options, &m->context);
	for (u32 i = 0; err == 0 && i < set->n; i++)
		err = chimney_conn_adopt(m->context, set->conns[i].fd, 0, NULL, &m->conns[i]);
	if (err)
		*ret_what = lib_error("chimney_context_create or chimney_conn_adopt");
	return err;
}

int ours_move_close(struct ours_move *m, struct conn_set *set, const char **ret_what)
{
	int err = 0;

	for (u32 i = 0; err == 0 && i < set->n; i++)
		err = chimney_conn_release(m->conns[i], &set->conns[i].fd);
	if (err)
		*ret_what = lib_error("chimney_conn_release");
	else
		chimney_context_destroy(m->context);
	m->context = NULL;
	return err;
}

static void note_stalls(struct ours_move *m, u32 n)
{
	for (u32 i = 0; i < n && m->n_stalls < m->max_stalls; i++)
		m->stall_ns[m->n_stalls++] = m->results[i].stall_ns;
}

static int refused(struct ours_move *m, u32 n, const char *call, const char **ret_what)
{
	static char text[160];

	for (u32 i = 0; i < n; i++) {
		if (m->results[i].status == 0)
			continue;
		snprintf(text, sizeof(text), "%s refused a connection: %s", call,
		         chimney_status_word(m->results[i].status));
		*ret_what = text;
		return -EPROTO;
	}
	*ret_what = lib_error(call);
	return -EPROTO;
}

int ours_move_round(struct ours_move *m, u32 from, u32 n, struct ours_move_times *times,
                    const char **ret_what)
{
	u64 start = bench_now_ns(), middle;

	if (chimney_conns_offload(m->context, &m->conns[from], n, m->results) != (ssize_t)n)
		return refused(m, n, "chimney_conns_offload", ret_what);
	middle = bench_now_ns();
	times->offload_ns += middle - start;
	note_stalls(m, n);
	start = bench_now_ns();
	if (chimney_conns_upload(m->context, &m->conns[from], n, m->results) != (ssize_t)n)
		return refused(m, n, "chimney_conns_upload", ret_what);
	times->upload_ns += bench_now_ns() - start;
	note_stalls(m, n);
	return 0;
}

void ours_move_parts(struct ours_move *m, int sign, struct ours_move_times *times)
{
	struct chimney_stats s = {.size = sizeof(s)};

	if (chimney_context_stats(m->context, &s))
		return;
	times->export_ns += (u64)sign * s.move_export_ns;
	times->transfer_ns += (u64)sign * s.move_transfer_ns;
	times->import_ns += (u64)sign * s.move_import_ns;
}

static int compare_u32(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return (x > y) - (x < y);
}

u32 ours_move_stall_p99(struct ours_move *m)
{
	u32 p99;

	if (m->n_stalls == 0)
		return 0;
	qsort(m->stall_ns, m->n_stalls, sizeof(*m->stall_ns), compare_u32);
	p99 = m->stall_ns[(u32)((u64)(m->n_stalls - 1) * 99 / 100)];
	m->n_stalls = 0;
	return p99;
}
