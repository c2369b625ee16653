/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Files of keys: who may own them, what may be in them, and that all or none of it is taken. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/keyfile.h"

enum { KEYS = 3, SKIPPED = 77 };

#define GOOD_A "000102030405060708090a0b0c0d0e0f10111213"
#define GOOD_B "ffeeddccbbaa99887766554433221100FFEEDDCCBBAA99887766554433221100"

struct rig {
	struct crypto *c;
	char path[64];
	u32 told;
	char names[256];
	u64 keys[KEYS];
	u32 suites[KEYS];
	struct keyfile_error error;
};

static void told(void *ctx, const char *name, u32 suite, u64 key)
{
	struct rig *r = ctx;

	strcat(strcat(r->names, name), " ");
	r->suites[r->told] = suite;
	r->keys[r->told++] = key;
}

static int set_up(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	int fd;

	strcpy(r->path, "/tmp/chimney-keys-XXXXXX");
	fd = mkstemp(r->path);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(crypto_create(KEYS, &r->c), 0);
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *r = *state;

	unlink(r->path);
	crypto_destroy(r->c);
	free(r);
	return 0;
}

static int read_text(struct rig *r, const char *text)
{
	FILE *f = fopen(r->path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	r->told = 0;
	r->names[0] = 0;
	r->error = (struct keyfile_error){0};
	return keyfile_read(r->c, r->path, told, r, &r->error);
}

/* Room for so many more keys is left. */
static void assert_room(struct rig *r, u32 n)
{
	u8 key[20] = {0};
	u64 number[KEYS + 1];

	for (u32 i = 0; i < n; i++)
		assert_int_equal(crypto_key_add(r->c, CIPHER_AES_128_GCM, key, 20, &number[i]), 0);
	assert_int_equal(crypto_key_add(r->c, CIPHER_AES_128_GCM, key, 20, &number[n]), -ENOSPC);
	for (u32 i = 0; i < n; i++)
		assert_int_equal(crypto_key_remove(r->c, number[i]), 0);
}

static void keys_are_read(void **state)
{
	struct rig *r = *state;
	struct cipher_env env = crypto_env(r->c);
	struct cipher *made;

	assert_int_equal(read_text(r, "# keys of the east\n\n  east-1 aes-128-gcm\t0x" GOOD_A
	                              " # first\r\nb hmac-sha-256 0x" GOOD_B),
	                 0);
	assert_string_equal(r->names, "east-1 b ");
	assert_int_equal(r->suites[0], CIPHER_AES_128_GCM);
	assert_int_equal(r->suites[1], CIPHER_HMAC_SHA_256);
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(env.ops->setup(env.impl, r->suites[i], r->keys[i], &made), 0);
		env.ops->discard(env.impl, made);
	}
	assert_room(r, 1);
	assert_int_equal(read_text(r, ""), 0);
	assert_int_equal(r->told, 0);
}

/* All or none; the line is named, and no message holds a key. */
static void bad_lines(void **state)
{
	static const char *const bad[] = {
		"b",
		"b aes-129-gcm 0x00",
		"b aes-128-gcm",
		"b aes-128-gcm " GOOD_A,
		"b aes-128-gcm 0x0",
		"b aes-128-gcm 0x" GOOD_B,
		"b aes-128-gcm 0x" GOOD_A "0g",
		"b aes-128-gcm 0x" GOOD_A " more",
		"b aes-128-gcm 0x" GOOD_A GOOD_B GOOD_B,
		"0123456789012345678901234567890123456789012345678901234567890123456789 x",
	};
	struct rig *r = *state;
	char text[1024];

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "a aes-128-gcm 0x" GOOD_A "\n\n%s\n", bad[i]);
		assert_int_equal(read_text(r, text), -EBADMSG);
		assert_int_equal(r->error.line, 3);
		assert_null(strstr(r->error.what, "0102"));
		assert_int_equal(r->told, 0);
		assert_room(r, KEYS);
	}
	text[0] = 0;
	for (u32 i = 0; i <= KEYS; i++)
		strcat(text, "a aes-128-gcm 0x" GOOD_A "\n");
	assert_int_equal(read_text(r, text), -ENOSPC);
	assert_int_equal(r->error.line, KEYS + 1);
	assert_int_equal(r->told, 0);
	assert_room(r, KEYS);
}

/* Root's, and nobody else's. */
static void whose_file(void **state)
{
	static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0666};
	struct rig *r = *state;
	char link_path[80];

	for (u32 i = 0; i < ARRAY_SIZE(modes); i++) {
		assert_int_equal(chmod(r->path, modes[i]), 0);
		assert_int_equal(read_text(r, "a aes-128-gcm 0x" GOOD_A "\n"), -EPERM);
		assert_non_null(strstr(r->error.what, "chmod"));
	}
	assert_int_equal(chmod(r->path, 0400), 0);
	assert_int_equal(read_text(r, "a aes-128-gcm 0x" GOOD_A "\n"), 0);
	assert_int_equal(crypto_key_remove(r->c, r->keys[0]), 0);
	assert_int_equal(chown(r->path, 1, 0), 0);
	assert_int_equal(read_text(r, "a aes-128-gcm 0x" GOOD_A "\n"), -EPERM);
	assert_non_null(strstr(r->error.what, "chown"));
	assert_int_equal(chown(r->path, 0, 0), 0);
	snprintf(link_path, sizeof(link_path), "%s-link", r->path);
	assert_int_equal(symlink(r->path, link_path), 0);
	assert_int_equal(keyfile_read(r->c, link_path, told, r, &r->error), -ELOOP);
	unlink(link_path);
	assert_int_equal(keyfile_read(r->c, "/tmp", told, r, &r->error), -EPERM);
	assert_int_equal(keyfile_read(r->c, "/nowhere/at/all", told, r, &r->error), -ENOENT);
	assert_room(r, KEYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keys_are_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bad_lines, set_up, tear_down),
		cmocka_unit_test_setup_teardown(whose_file, set_up, tear_down),
	};

	if (geteuid()) {
		printf("skipped: only root can make a file that belongs to root\n");
		return SKIPPED;
	}
	return RUN_TESTS(tests);
}
