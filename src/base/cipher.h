/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Ciphers as the core sees them: a table of functions, and the shapes of the suites.
 *
 * Who uses a cipher (the IPsec driver) never sees a key. A key has a number in the environment's
 * store; setup() makes a context of it, outside of the path of packets, and a packet costs one call
 * that allocates nothing. src/crypto has the table that stands on OpenSSL.
 */
#ifndef BASE_CIPHER_H
#define BASE_CIPHER_H

#include "base/types.h"

enum cipher_suite {
	CIPHER_AES_128_GCM,              /* RFC 4106 */
	CIPHER_AES_256_GCM,              /* RFC 4106 */
	CIPHER_CHACHA20_POLY1305,        /* RFC 7634 */
	CIPHER_AES_128_CBC_HMAC_SHA_256, /* RFC 3602, RFC 4868 */
	CIPHER_AES_256_CBC_HMAC_SHA_256, /* RFC 3602, RFC 4868 */
	CIPHER_HMAC_SHA_256,             /* RFC 4868: integrity only, NULL encryption (RFC 2410) */
	CIPHER_AES_128_GMAC,             /* RFC 4543: integrity only */
	CIPHER_SUITES,
};

enum {
	CIPHER_KEY_BYTES_MAX = 64,
	CIPHER_IV_BYTES_MAX = 16,
	CIPHER_ICV_BYTES = 16, /* of every suite */
	CIPHER_PIECES = 3,
};

struct cipher_shape {
	const char *name; /* as in logs and files */
	u8 key_bytes;   /* keying material (RFC 7296 2.17): cipher's key, then salt or HMAC's key */
	u8 iv_bytes;    /* that travel with each packet */
	u8 align;       /* what is enciphered is a multiple of so many bytes */
	bool enciphers; /* else integrity only */
	bool aead;      /* the high half of an extended sequence number goes into the middle of
	                 * what is authenticated (RFC 4106 5); else it follows the packet */
};

/* NULL: no such suite. */
const struct cipher_shape *cipher_shape(u32 suite);

/* The suite of this name (`len` bytes), CIPHER_SUITES: none. */
u32 cipher_suite_named(const char *name, size_t len);

struct cipher_piece {
	const void *at;
	u32 len;
};

/*
 * One packet. Authenticated are, in this order: before[], the IV where it is part of what the suite
 * authenticates (CBC), data, after. Suites that encipher do so in place with data, whose length
 * is a multiple of `align`; the others only read it.
 */
struct cipher_text {
	struct cipher_piece before[CIPHER_PIECES];
	u32 n_before;
	u8 *iv; /* iv_bytes; seal() writes it. With CBC it ends where data begins */
	u8 *data;
	u32 len;
	struct cipher_piece after;
	u8 *icv;   /* CIPHER_ICV_BYTES */
	u64 nonce; /* seal(): never used before with this key (a sequence number); the IV is made of
	            * it, unpredictably where the suite needs that */
};

struct cipher; /* a context: suite, key, whatever the implementation needs. One thread's. */

struct cipher_ops {
	/* Bit set of enum cipher_suite. */
	u32 (*suites)(void *env);
	/* A context for key number `key`. -ENOENT: no such key; -EINVAL: it is one of another
	 * suite; -EOPNOTSUPP; -ENOMEM. */
	int (*setup)(void *env, u32 suite, u64 key, struct cipher **ret);
	/* Wipes and frees it. */
	void (*discard)(void *env, struct cipher *c);
	/* 0, or -EINVAL: lengths that the suite does not take. */
	int (*seal)(struct cipher *c, const struct cipher_text *text);
	/* 0, or -EBADMSG: forged or broken, data is undefined then; -EINVAL. */
	int (*open)(struct cipher *c, const struct cipher_text *text);
};

struct cipher_env {
	const struct cipher_ops *ops;
	void *impl;
};

#endif
