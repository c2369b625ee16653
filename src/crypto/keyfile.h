/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A file of keys. A line is a name, a suite (base/cipher.h) and the keying material in hexadecimal
 * digits; '#' begins a comment:
 *
 *   east-1  aes-128-gcm  0x000102030405060708090a0b0c0d0e0f10111213
 *
 * The file must be a regular one that belongs to root and that nobody else may read or write. What
 * was read is wiped, and no message holds any of it.
 */
#ifndef CRYPTO_KEYFILE_H
#define CRYPTO_KEYFILE_H

#include "crypto/crypto.h"

enum { KEYFILE_NAME_MAX = 64 };

struct keyfile_error {
	u32 line;         /* 0: the file as a whole */
	const char *what; /* what is wrong and what to do next */
};

/* One key of the file is in the store now. */
typedef void (*keyfile_each)(void *ctx, const char *name, u32 suite, u64 key);

/*
 * Adds all keys of the file to the store, or none. `each` is told of them in their order, once all
 * are in. -EPERM: owner, mode or kind of the file; -EBADMSG: a line; -ENOSPC: the store; or what
 * opening and reading gave. *ret_error says why, for every error.
 */
int keyfile_read(struct crypto *c, const char *path, keyfile_each each, void *ctx,
                 struct keyfile_error *ret_error) MUST_CHECK;

#endif
