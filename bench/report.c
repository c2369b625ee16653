/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What remains of a run: the JSON array, and the comparison with bench/goals. */
#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void write_string(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			fprintf(f, "\\u%04x", (unsigned char)*s);
		else
			fputc(*s, f);
	}
	fputc('"', f);
}

static void write_number(FILE *f, const char *key, bool has, double v)
{
	fprintf(f, ", \"%s\": ", key);
	if (has)
		fprintf(f, "%.6g", v);
	else
		fputs("null", f);
}

static void write_result(FILE *f, const struct bench_result *r)
{
	bool both = r->has_ours && r->has_peer && r->peer != 0;

	fputs("{\"case\": ", f);
	write_string(f, r->bcase->name);
	write_number(f, "ours", r->has_ours, r->ours);
	write_number(f, "peer", r->has_peer, r->peer);
	fputs(", \"peer_name\": ", f);
	if (r->bcase->peer_name)
		write_string(f, r->bcase->peer_name);
	else
		fputs("null", f);
	fputs(", \"unit\": ", f);
	write_string(f, r->bcase->unit);
	write_number(f, "ratio", both, both ? r->ours / r->peer : 0);
	if (r->has_ours) {
		write_number(f, "ours_min", true, r->ours_min);
		write_number(f, "ours_max", true, r->ours_max);
	}
	if (r->has_peer) {
		write_number(f, "peer_min", true, r->peer_min);
		write_number(f, "peer_max", true, r->peer_max);
	}
	if (r->note[0]) {
		fputs(", \"note\": ", f);
		write_string(f, r->note);
	}
	if (r->why[0]) {
		fputs(", \"skipped\": ", f);
		write_string(f, r->why);
	}
	fputc('}', f);
}

int bench_write_json(const char *path, const struct bench_result *results, u32 n)
{
	FILE *f = fopen(path, "w");
	int err = 0;

	if (!f)
		return -errno;
	fputs("[\n", f);
	for (u32 i = 0; i < n; i++) {
		write_result(f, &results[i]);
		fputs(i + 1 < n ? ",\n" : "\n", f);
	}
	fputs("]\n", f);
	if (ferror(f))
		err = -EIO;
	if (fclose(f) != 0 && err == 0)
		err = -errno;
	return err;
}

struct goal {
	char name[64];
	char field[8]; /* "ratio" or "ours" */
	char op[3];
	double value;
};

/* 1: a goal, 0: an empty line or a comment, -EINVAL. */
static int parse_goal(const char *line, struct goal *ret_goal)
{
	struct goal g = {0};
	int n = sscanf(line, " %63s %7s %2s %lf", g.name, g.field, g.op, &g.value);

	if (n <= 0 || g.name[0] == '#')
		return 0;
	if (n != 4 || (strcmp(g.op, "<=") != 0 && strcmp(g.op, ">=") != 0) ||
	    (strcmp(g.field, "ratio") != 0 && strcmp(g.field, "ours") != 0))
		return -EINVAL;
	*ret_goal = g;
	return 1;
}

static const struct bench_result *find_result(const char *name, const struct bench_result *results,
                                              u32 n)
{
	for (u32 i = 0; i < n; i++)
		if (strcmp(results[i].bcase->name, name) == 0)
			return &results[i];
	return NULL;
}

/* Whether the goal is missed; says so. */
static bool check_goal(const struct goal *g, const struct bench_result *r)
{
	bool is_ratio = strcmp(g->field, "ratio") == 0;
	double v;

	if (!r) {
		printf("missed: %s: no such case\n", g->name);
		return true;
	}
	if (!r->has_ours || (is_ratio && (!r->has_peer || r->peer == 0))) {
		printf("missed: %s: the %s must be %s %g, but the case did not run: %s\n", g->name,
		       g->field, g->op, g->value, r->why);
		return true;
	}
	v = is_ratio ? r->ours / r->peer : r->ours;
	if (g->op[0] == '<' ? v <= g->value : v >= g->value)
		return false;
	if (is_ratio)
		printf("missed: %s: %.4g %s is %.3f of %s (%.4g), it must be %s %g\n", g->name,
		       r->ours, r->bcase->unit, v, r->bcase->peer_name, r->peer, g->op, g->value);
	else
		printf("missed: %s: %.4g %s, it must be %s %g\n", g->name, v, r->bcase->unit, g->op,
		       g->value);
	return true;
}

int bench_check_goals(const char *path, const struct bench_result *results, u32 n,
                      const char *case_prefix)
{
	FILE *f = fopen(path, "r");
	char line[256];
	struct goal g;
	int missed = 0, kind = 0;

	if (!f)
		return -errno;
	while (kind >= 0 && fgets(line, sizeof(line), f)) {
		kind = parse_goal(line, &g);
		if (kind <= 0)
			continue;
		if (case_prefix && strncmp(g.name, case_prefix, strlen(case_prefix)) != 0)
			continue;
		missed += check_goal(&g, find_result(g.name, results, n));
	}
	fclose(f);
	return kind < 0 ? kind : missed;
}
