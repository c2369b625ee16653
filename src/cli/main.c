/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `chimney`: the command. One line a subcommand. */
#include "chimney/chimney.h"
#include "cli/demo.h"
#include "cli/sim.h"

#include <stdio.h>
#include <string.h>

static int explain_main(int argc, char **argv);

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
	{"demo", demo_main, "move thousands of live connections there and back"},
	{"sim", sim_main, "simulate hosts, targets and links in virtual time"},
	{"explain", explain_main, "what a status or a reason means, in a sentence"},
};

/* The words of one kind that are wanted, all without any; how many there were. */
static int explain(int argc, char **argv, const char *(*word)(uint32_t),
                   const char *(*sentence)(uint32_t))
{
	int found = 0;

	for (uint32_t i = 0; i == 0 || strcmp(word(i), "unknown"); i++) {
		bool wanted = argc == 1;

		for (int k = 1; k < argc; k++)
			wanted |= !strcmp(argv[k], word(i));
		if (!wanted)
			continue;
		found++;
		printf("%-20s %s\n", word(i), sentence(i));
	}
	return found;
}

/* `chimney explain [word ...]`: all of them without a word. */
static int explain_main(int argc, char **argv)
{
	bool missing = false;

	for (int k = 1; k < argc; k++) {
		char *one[] = {argv[0], argv[k]};

		if (explain(2, one, chimney_status_word, chimney_status_sentence) +
		    explain(2, one, chimney_reason_word, chimney_reason_sentence))
			continue;
		fprintf(stderr,
		        "chimney explain: \"%s\" is neither a status nor a reason; run chimney "
		        "explain for all of them\n",
		        argv[k]);
		missing = true;
	}
	if (argc == 1) {
		explain(1, argv, chimney_status_word, chimney_status_sentence);
		printf("\nreasons for which a target asks for an upload:\n");
		explain(1, argv, chimney_reason_word, chimney_reason_sentence);
	}
	return missing ? 2 : 0;
}

static void usage(FILE *to)
{
	fprintf(to, "usage: chimney COMMAND [options]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].what);
	fprintf(to, "\nchimney COMMAND --help, or the manual page chimney-COMMAND(1).\n");
}

int main(int argc, char **argv)
{
	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		usage(argc < 2 ? stderr : stdout);
		return argc < 2 ? 2 : 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "chimney: \"%s\" is no command\n\n", argv[1]);
	usage(stderr);
	return 2;
}
