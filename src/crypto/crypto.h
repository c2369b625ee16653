/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Keys and ciphers for base/cipher.h, on OpenSSL's libcrypto.
 *
 * Keys lie in one piece of memory that is locked, left out of core dumps, and wiped when a key
 * goes. Nothing but a context that is made of a key ever reads it again: there is no call that
 * returns one.
 */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include "base/cipher.h"

struct crypto;

/* A store of up to `keys` keys. -EINVAL: none, or more than a million; -ENOMEM. */
int crypto_create(u32 keys, struct crypto **ret) MUST_CHECK;

/* Wipes all keys. Contexts must be discarded before. NULL is nothing. */
void crypto_destroy(struct crypto *c);

/*
 * Takes a copy of the keying material of a suite; `bytes` are wiped, whatever the result.
 * *ret_key is the key's number, never 0 and never given out twice. -EINVAL: unknown suite, or
 * `len` is not its key_bytes; -ENOSPC: the store is full.
 */
int crypto_key_add(struct crypto *c, u32 suite, void *bytes, size_t len, u64 *ret_key) MUST_CHECK;

/* Wipes a key. Contexts that were made of it go on. -ENOENT. */
int crypto_key_remove(struct crypto *c, u64 key);

/* The table, for who needs ciphers. Valid until crypto_destroy(). */
struct cipher_env crypto_env(struct crypto *c);

#endif
