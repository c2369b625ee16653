/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The bench harness: a table of cases, each measured against its peer in the same run.
 *
 * A case's two sides are measured in turn (ours, peer, ours, peer, ...), at least five pairs, and
 * the medians are reported, so that a disturbance of the machine meets both sides. What cannot run
 * is listed with its reason. Results go to a table on standard output and to a JSON array.
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include "base/types.h"

enum { BENCH_MIN_PAIRS = 5, BENCH_MAX_PAIRS = 101, BENCH_WHY_BYTES = 256 };

struct bench_run;

/* Measures once. 0 and *ret_value in the case's unit, or -Exxx with run->why set (bench_fail()). */
typedef int (*bench_side_fn)(struct bench_run *run, double *ret_value);

struct bench_case {
	const char *name;                    /* path-like, unique: "move/empty/64" */
	const char *unit;                    /* of both values: "us/conn", "req/s", ... */
	const char *peer_name;               /* NULL: no peer, the figure stands alone */
	int (*setup)(struct bench_run *run); /* once, before all pairs; may be NULL */
	bench_side_fn ours;                  /* NULL: see no_ours */
	bench_side_fn peer;                  /* NULL when peer_name is NULL */
	int (*verify)(
		struct bench_run *run); /* after all pairs: figures of a wrong result are void */
	void (*teardown)(struct bench_run *run); /* once, also after a failed setup; may be NULL */
	const char *no_ours;                     /* why `ours` is NULL, printed with the case */
	u32 n; /* parameters of the case, their meaning is the case's own */
	u32 bytes;
	u32 variant;
};

/* One run of one case: what its functions get. */
struct bench_run {
	const struct bench_case *bcase;
	void *state;                /* the case's own, between setup and teardown */
	char why[BENCH_WHY_BYTES];  /* why it failed or was skipped */
	char note[BENCH_WHY_BYTES]; /* a further line below the row, for example a split */
};

struct bench_table {
	const struct bench_case *cases;
	u32 n;
};

struct bench_result {
	const struct bench_case *bcase;
	double ours, peer;         /* medians; valid as far as has_* says */
	double ours_min, ours_max; /* spread of the pairs */
	double peer_min, peer_max;
	bool has_ours, has_peer;
	char why[BENCH_WHY_BYTES]; /* not empty: skipped, or one side is missing */
	char note[BENCH_WHY_BYTES];
};

struct bench_options {
	const char *case_prefix; /* NULL: all */
	const char *json_path;   /* NULL: none */
	const char *goals_path;
	u32 pairs;
	bool check; /* compare with the goals */
};

/* Runs the cases whose name starts with the prefix, prints, writes the JSON. Returns the program's
 * exit status: 0, or 1 when the JSON could not be written or (with `check`) a goal was missed. */
int bench_execute(const struct bench_table *tables, u32 n_tables, const struct bench_options *opt);

/* Sets run->why by a format and returns `err` (negative). */
__attribute__((format(printf, 3, 4))) int bench_fail(struct bench_run *run, int err,
                                                     const char *fmt, ...);
/* Sets run->note by a format. */
__attribute__((format(printf, 2, 3))) void bench_note(struct bench_run *run, const char *fmt, ...);

/* Monotonic clock, ns. */
u64 bench_now_ns(void);
/* CPU time of the calling process (user and system), ns. */
u64 bench_cpu_ns(void);
/* Cycles of the time stamp counter in a second; 0 where there is none. */
double bench_tsc_hz(void);
/* Pins the calling thread to one CPU (modulo the CPUs allowed to it). 0 or -Exxx. */
int bench_pin(u32 cpu);

/* Writes results as a JSON array. 0 or -Exxx. */
int bench_write_json(const char *path, const struct bench_result *results, u32 n) MUST_CHECK;

/* Compares results with a goals file, prints one sentence for each missed goal. Returns how many
 * were missed, or -Exxx when the file cannot be read or understood. A goal whose case was not
 * selected is not looked at; one whose case was skipped is missed. */
int bench_check_goals(const char *path, const struct bench_result *results, u32 n,
                      const char *case_prefix) MUST_CHECK;

#endif
