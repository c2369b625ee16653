/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The store of keys, and the table that gives contexts of them. */
#include "crypto/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { KEYS_MAX = 1000000 };

struct key {
	u64 number; /* 0: free */
	u32 suite;
	u8 bytes[CIPHER_KEY_BYTES_MAX];
};

struct crypto {
	struct key *key;
	size_t bytes;
	u32 n;
	u64 last;
};

int crypto_create(u32 keys, struct crypto **ret)
{
	struct crypto *c;
	void *mem;

	if (!keys || keys > KEYS_MAX)
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->n = keys;
	c->bytes = sizeof(struct key) * keys;
	mem = mmap(NULL, c->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED) {
		free(c);
		return -ENOMEM;
	}
	/* Without the right to lock memory keys may reach the swap area; there is no better place.
	 */
	(void)mlock(mem, c->bytes);
	(void)madvise(mem, c->bytes, MADV_DONTDUMP);
	c->key = mem;
	*ret = c;
	return 0;
}

void crypto_destroy(struct crypto *c)
{
	if (!c)
		return;
	explicit_bzero(c->key, c->bytes);
	munmap(c->key, c->bytes);
	free(c);
}

static struct key *key_find(struct crypto *c, u64 number)
{
	for (u32 i = 0; number && i < c->n; i++) {
		if (c->key[i].number == number)
			return &c->key[i];
	}
	return NULL;
}

static int key_put(struct crypto *c, u32 suite, const void *bytes, size_t len, u64 *ret_key)
{
	const struct cipher_shape *shape = cipher_shape(suite);

	if (!shape || len != shape->key_bytes)
		return -EINVAL;
	for (u32 i = 0; i < c->n; i++) {
		if (c->key[i].number)
			continue;
		c->key[i].number = ++c->last;
		c->key[i].suite = suite;
		memcpy(c->key[i].bytes, bytes, len);
		*ret_key = c->last;
		return 0;
	}
	return -ENOSPC;
}

int crypto_key_add(struct crypto *c, u32 suite, void *bytes, size_t len, u64 *ret_key)
{
	int err = key_put(c, suite, bytes, len, ret_key);

	explicit_bzero(bytes, len);
	return err;
}

int crypto_key_remove(struct crypto *c, u64 number)
{
	struct key *k = key_find(c, number);

	if (!k)
		return -ENOENT;
	explicit_bzero(k, sizeof(*k));
	return 0;
}

/* -- the table --------------------------------------------------------------------------------- */

static u32 suites(void *env)
{
	return (1u << CIPHER_SUITES) - 1;
}

static int setup(void *env, u32 suite, u64 key, struct cipher **ret)
{
	const struct key *k = key_find(env, key);

	if (!k)
		return -ENOENT;
	if (k->suite != suite)
		return -EINVAL;
	return cipher_create(suite, k->bytes, ret);
}

static void discard(void *env, struct cipher *c)
{
	cipher_destroy(c);
}

struct cipher_env crypto_env(struct crypto *c)
{
	static const struct cipher_ops ops = {
		.suites = suites,
		.setup = setup,
		.discard = discard,
		.seal = cipher_seal,
		.open = cipher_open,
	};

	return (struct cipher_env){&ops, c};
}
