/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "harness.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

int bench_fail(struct bench_run *run, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(run->why, sizeof(run->why), fmt, ap);
	va_end(ap);
	return err;
}

void bench_note(struct bench_run *run, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(run->note, sizeof(run->note), fmt, ap);
	va_end(ap);
}

u64 bench_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * NS_PER_S + (u64)ts.tv_nsec;
}

u64 bench_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (u64)ts.tv_sec * NS_PER_S + (u64)ts.tv_nsec;
}

double bench_tsc_hz(void)
{
	static double hz;
	u64 from_ns, from;

	if (hz > 0)
		return hz;
	from_ns = bench_now_ns();
	from = __builtin_ia32_rdtsc();
	while (bench_now_ns() - from_ns < 20 * NS_PER_MS)
		;
	hz = (double)(__builtin_ia32_rdtsc() - from) * 1e9 / (double)(bench_now_ns() - from_ns);
	return hz;
}

int bench_pin(u32 cpu)
{
	cpu_set_t allowed, one;
	u32 n = 0, left;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return -errno;
	left = cpu % (u32)CPU_COUNT(&allowed);
	while (!CPU_ISSET(n, &allowed) || left--)
		n++;
	CPU_ZERO(&one);
	CPU_SET(n, &one);
	return sched_setaffinity(0, sizeof(one), &one) < 0 ? -errno : 0;
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts, so that the caller finds the extremes at the ends. */
static double median(double *values, u32 n)
{
	qsort(values, n, sizeof(*values), compare_double);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void measure_pairs(struct bench_run *run, struct bench_result *result, u32 pairs)
{
	const struct bench_case *c = run->bcase;
	double ours[BENCH_MAX_PAIRS], peer[BENCH_MAX_PAIRS];
	u32 n_ours = 0, n_peer = 0;
	bool try_ours = c->ours, try_peer = c->peer;

	for (u32 i = 0; i < pairs; i++) {
		if (try_ours)
			try_ours = c->ours(run, &ours[n_ours]) == 0 && ++n_ours;
		if (try_peer)
			try_peer = c->peer(run, &peer[n_peer]) == 0 && ++n_peer;
	}
	/* A side that failed once is not reported: a half-done series says nothing. */
	if (n_ours == pairs) {
		result->ours = median(ours, pairs);
		result->ours_min = ours[0];
		result->ours_max = ours[pairs - 1];
		result->has_ours = true;
	}
	if (n_peer == pairs) {
		result->peer = median(peer, pairs);
		result->peer_min = peer[0];
		result->peer_max = peer[pairs - 1];
		result->has_peer = true;
	}
}

static void run_case(const struct bench_case *c, struct bench_result *result, u32 pairs)
{
	struct bench_run run = {.bcase = c};
	int err = c->setup ? c->setup(&run) : 0;

	result->bcase = c;
	if (err == 0)
		measure_pairs(&run, result, pairs);
	if (err == 0 && c->verify && (result->has_ours || result->has_peer) && c->verify(&run) < 0)
		result->has_ours = result->has_peer = false;
	if (c->teardown)
		c->teardown(&run);
	if (!c->ours && run.why[0] == '\0' && c->no_ours)
		snprintf(run.why, sizeof(run.why), "%s", c->no_ours);
	if (err && run.why[0] == '\0')
		snprintf(run.why, sizeof(run.why), "setup failed: %s", strerror(-err));
	memcpy(result->why, run.why, sizeof(result->why));
	memcpy(result->note, run.note, sizeof(result->note));
}

static void print_value(bool has, double v)
{
	if (!has)
		printf(" %12s", "-");
	else if (fabs(v) < 1000)
		printf(" %12.3f", v);
	else
		printf(" %12.0f", v);
}

/* Cycles of one operation, where the unit is a time or a rate of one core. */
static void print_cycles(const struct bench_case *c, bool has, double v)
{
	double cycles = 0;

	if (strncmp(c->unit, "us/", 3) == 0)
		cycles = v * bench_tsc_hz() / 1e6;
	else if (strncmp(c->unit, "ns/", 3) == 0)
		cycles = v * bench_tsc_hz() / 1e9;
	else if (strcmp(c->unit, "req/s") == 0 && v > 0)
		cycles = bench_tsc_hz() / v;
	if (has && cycles > 0)
		printf(" %10.0f", cycles);
	else
		printf(" %10s", "-");
}

static void print_header(void)
{
	printf("%-28s %12s %12s %7s  %-8s %10s %10s  %s\n", "case", "ours", "peer", "ratio", "unit",
	       "cycles", "peer cyc.", "peer");
}

static void print_result(const struct bench_result *r)
{
	const struct bench_case *c = r->bcase;

	printf("%-28s", c->name);
	print_value(r->has_ours, r->ours);
	print_value(r->has_peer, r->peer);
	if (r->has_ours && r->has_peer && r->peer != 0)
		printf(" %7.3f", r->ours / r->peer);
	else
		printf(" %7s", "-");
	printf("  %-8s", c->unit);
	print_cycles(c, r->has_ours, r->ours);
	print_cycles(c, r->has_peer, r->peer);
	printf("  %s\n", c->peer_name ? c->peer_name : "-");
	if (r->note[0])
		printf("    %s\n", r->note);
	if (!r->has_ours && !r->has_peer)
		printf("    skipped: %s\n", r->why[0] ? r->why : "no reason given");
	else if (!r->has_ours || (c->peer_name && !r->has_peer))
		printf("    %s missing: %s\n", r->has_ours ? "peer" : "ours",
		       r->why[0] ? r->why : "no reason given");
	fflush(stdout);
}

static bool selected(const struct bench_case *c, const struct bench_options *opt)
{
	return !opt->case_prefix ||
	       strncmp(c->name, opt->case_prefix, strlen(opt->case_prefix)) == 0;
}

static u32 run_tables(const struct bench_table *tables, u32 n_tables,
                      const struct bench_options *opt, struct bench_result *results)
{
	u32 n = 0;

	print_header();
	for (u32 t = 0; t < n_tables; t++) {
		for (u32 i = 0; i < tables[t].n; i++) {
			const struct bench_case *c = &tables[t].cases[i];

			if (!selected(c, opt))
				continue;
			run_case(c, &results[n], opt->pairs);
			print_result(&results[n++]);
		}
	}
	return n;
}

static int finish(const struct bench_options *opt, const struct bench_result *results, u32 n)
{
	int missed;
	int err = opt->json_path ? bench_write_json(opt->json_path, results, n) : 0;

	if (err) {
		fprintf(stderr, "bench: cannot write %s: %s\n", opt->json_path, strerror(-err));
		return 1;
	}
	if (n == 0) {
		fprintf(stderr, "bench: no case starts with \"%s\" (--list shows them)\n",
		        opt->case_prefix);
		return 1;
	}
	if (!opt->check)
		return 0;
	missed = bench_check_goals(opt->goals_path, results, n, opt->case_prefix);
	if (missed < 0)
		fprintf(stderr, "bench: goals in %s: %s\n", opt->goals_path, strerror(-missed));
	else if (missed == 0)
		printf("all goals are met\n");
	return missed != 0;
}

int bench_execute(const struct bench_table *tables, u32 n_tables, const struct bench_options *opt)
{
	struct bench_result *results;
	u32 total = 0;
	int status;

	for (u32 t = 0; t < n_tables; t++)
		total += tables[t].n;
	results = calloc(total + 1, sizeof(*results));
	if (!results)
		return 1;
	status = finish(opt, results, run_tables(tables, n_tables, opt, results));
	free(results);
	return status;
}
