/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* chimney-bench: measures chimney against its peers. Environment and options: see usage(). */
#include "cases.h"

#include <stdio.h>
#include <stdlib.h>

static void usage(void)
{
	puts("usage: chimney-bench [--case PREFIX] [--check] [--pairs N] [--json FILE]\n"
	     "                     [--goals FILE] [--list]\n"
	     "  --case PREFIX  run the cases whose name starts so (also environment CASE)\n"
	     "  --check        compare with the goals, exit status 1 when one is missed (CHECK=1)\n"
	     "  --pairs N      measure N pairs, at least 5 (PAIRS)\n"
	     "  --json FILE    write the results there\n"
	     "  --goals FILE   default bench/goals\n"
	     "  --list         name the cases");
}

static int list(const struct bench_table *tables, u32 n)
{
	for (u32 t = 0; t < n; t++)
		for (u32 i = 0; i < tables[t].n; i++)
			puts(tables[t].cases[i].name);
	return 0;
}

static u32 parse_pairs(const char *s)
{
	unsigned long n = s ? strtoul(s, NULL, 10) : 0;

	return (u32)min_of(max_of(n, (unsigned long)BENCH_MIN_PAIRS),
	                   (unsigned long)BENCH_MAX_PAIRS);
}

/* Value of an environment variable, NULL when it is unset or empty. */
static const char *environment(const char *name)
{
	const char *s = getenv(name);

	return s && s[0] ? s : NULL;
}

int main(int argc, char **argv)
{
	const struct bench_table tables[] = {
		bench_move_cases,   bench_wire_cases,    bench_engine_cases,
		bench_target_cases, bench_journal_cases, bench_team_cases,
		bench_links_cases,  bench_veth_cases,    bench_loss_cases};
	struct bench_options opt = {.case_prefix = environment("CASE"),
	                            .goals_path = "bench/goals",
	                            .pairs = parse_pairs(environment("PAIRS")),
	                            .check = environment("CHECK") &&
	                                     strcmp(environment("CHECK"), "0") != 0};

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--list") == 0)
			return list(tables, ARRAY_SIZE(tables));
		if (strcmp(argv[i], "--check") == 0) {
			opt.check = true;
			continue;
		}
		if (value && strcmp(argv[i], "--case") == 0)
			opt.case_prefix = value;
		else if (value && strcmp(argv[i], "--pairs") == 0)
			opt.pairs = parse_pairs(value);
		else if (value && strcmp(argv[i], "--json") == 0)
			opt.json_path = value;
		else if (value && strcmp(argv[i], "--goals") == 0)
			opt.goals_path = value;
		else
			return usage(), 2;
		i++;
	}
	return bench_execute(tables, ARRAY_SIZE(tables), &opt);
}
