// SPDX-License-Identifier: BSD-2-Clause-Patent
/* usage: NAME_replay FILE|DIRECTORY ...: runs a fuzz entry once for each file, in order of names.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

enum { INPUT_MAX = 1 << 20 };

static u32 files;

static void run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	u8 *data = malloc(INPUT_MAX), *exact;
	size_t n;

	if (!f || !data) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	n = fread(data, 1, INPUT_MAX, f);
	fclose(f);
	exact = malloc(n ? n : 1); /* so that a sanitizer sees the end */
	memcpy(exact, data, n);
	free(data);
	if (getenv("FUZZ_VERBOSE"))
		fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	files++;
}

static int no_dots(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void run_path(const char *path)
{
	struct dirent **list;
	struct stat st;
	int n;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		run_file(path);
		return;
	}
	n = scandir(path, &list, no_dots, alphasort);
	for (int i = 0; i < n; i++) {
		char name[4096];

		snprintf(name, sizeof(name), "%s/%s", path, list[i]->d_name);
		run_file(name);
		free(list[i]);
	}
	free(list);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		run_path(argv[i]);
	printf("%u inputs\n", files);
	return files ? 0 : 1; /* an empty corpus tests nothing */
}
