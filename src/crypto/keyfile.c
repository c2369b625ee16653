/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "crypto/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 1 << 20 };

struct line {
	char name[KEYFILE_NAME_MAX + 1];
	u32 suite;
	u8 key[CIPHER_KEY_BYTES_MAX];
	u32 key_len;
};

static int fail(struct keyfile_error *e, u32 line, int err, const char *what)
{
	*e = (struct keyfile_error){line, what};
	return err;
}

/* -- the file ---------------------------------------------------------------------------------- */

static int check_file(int fd, struct keyfile_error *e, u32 *ret_bytes)
{
	struct stat st;

	if (fstat(fd, &st))
		return fail(e, 0, -errno, "The key file cannot be looked at.");
	if (!S_ISREG(st.st_mode))
		return fail(e, 0, -EPERM, "The key file is no regular file: name a regular one.");
	if (st.st_uid != 0)
		return fail(e, 0, -EPERM,
		            "The key file does not belong to root, so somebody else may know the "
		            "keys: chown it to root and make new ones.");
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return fail(e, 0, -EPERM,
		            "Others than root may read or write the key file: chmod it to 0600 and "
		            "make new keys.");
	if (st.st_size > FILE_BYTES_MAX)
		return fail(e, 0, -EBADMSG, "The key file is larger than 1 MiB: split it.");
	*ret_bytes = (u32)st.st_size;
	return 0;
}

static int read_all(int fd, char *to, u32 bytes, struct keyfile_error *e)
{
	u32 done = 0;

	while (done < bytes) {
		ssize_t n = read(fd, to + done, bytes - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(e, 0, -errno, "The key file cannot be read.");
		if (!n)
			return fail(e, 0, -EBADMSG,
			            "The key file became shorter while it was read: try again.");
		done += (u32)n;
	}
	return 0;
}

/* -- a line ------------------------------------------------------------------------------------ */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of [*at, end); its length, 0: there is none. */
static u32 word(const char **at, const char *end, const char **ret_word)
{
	const char *p = *at;

	while (p < end && is_space(*p))
		p++;
	*ret_word = p;
	while (p < end && !is_space(*p) && *p != '#')
		p++;
	*at = p;
	return (u32)(p - *ret_word);
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool hex_key(const char *p, u32 len, struct line *l)
{
	if (len < 2 || p[0] != '0' || p[1] != 'x' || len % 2 || len / 2 - 1 > sizeof(l->key))
		return false;
	l->key_len = len / 2 - 1;
	for (u32 i = 0; i < l->key_len; i++) {
		int high = nibble(p[2 + 2 * i]), low = nibble(p[3 + 2 * i]);

		if (high < 0 || low < 0)
			return false;
		l->key[i] = (u8)(high << 4 | low);
	}
	return true;
}

/* NULL, or what is wrong. An empty line has an empty name. */
static const char *parse(const char *p, const char *end, struct line *l)
{
	const char *w;
	u32 len = word(&p, end, &w);

	memset(l, 0, sizeof(*l));
	if (!len)
		return NULL;
	if (len > KEYFILE_NAME_MAX)
		return "The name is longer than 64 characters: shorten it.";
	memcpy(l->name, w, len);
	len = word(&p, end, &w);
	l->suite = cipher_suite_named(w, len);
	if (l->suite == CIPHER_SUITES)
		return "The second word names no suite: write one of docs/ipsec.md.";
	len = word(&p, end, &w);
	if (!hex_key(w, len, l))
		return "The third word is no key: write 0x and an even number of hexadecimal "
		       "digits.";
	if (l->key_len != cipher_shape(l->suite)->key_bytes)
		return "The key has not the length that the suite wants: see docs/ipsec.md.";
	if (word(&p, end, &w))
		return "A fourth word follows: begin a comment with #.";
	return NULL;
}

/* -- all lines --------------------------------------------------------------------------------- */

enum pass {
	PASS_CHECK, /* is every line right? */
	PASS_ADD,
	PASS_TELL,
};

struct reading {
	struct crypto *c;
	keyfile_each each;
	void *ctx;
	struct keyfile_error *error;
	u64 first, n; /* numbers that were given out: in a row */
};

static int one_line(struct reading *r, enum pass pass, struct line *l, u32 line, u64 *told)
{
	u64 number;
	int err;

	if (pass == PASS_TELL) {
		r->each(r->ctx, l->name, l->suite, r->first + (*told)++);
		return 0;
	}
	if (pass == PASS_CHECK)
		return 0;
	err = crypto_key_add(r->c, l->suite, l->key, l->key_len, &number);
	if (err)
		return fail(r->error, line, err,
		            "The store of keys is full: remove some, or make it larger.");
	r->first = r->n++ ? r->first : number;
	return 0;
}

static int lines(struct reading *r, enum pass pass, const char *p, const char *end)
{
	u64 told = 0;
	int err = 0;

	for (u32 line = 1; p < end && !err; line++) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		const char *what;
		struct line l;

		stop = stop ? stop : end;
		what = parse(p, stop, &l);
		if (what)
			err = fail(r->error, line, -EBADMSG, what);
		else if (l.name[0])
			err = one_line(r, pass, &l, line, &told);
		explicit_bzero(&l, sizeof(l));
		p = stop + 1;
	}
	return err;
}

static int add_all(struct reading *r, const char *text, u32 bytes)
{
	int err = lines(r, PASS_CHECK, text, text + bytes);

	if (!err)
		err = lines(r, PASS_ADD, text, text + bytes);
	if (!err)
		return lines(r, PASS_TELL, text, text + bytes);
	while (r->n)
		crypto_key_remove(r->c, r->first + --r->n);
	return err;
}

int keyfile_read(struct crypto *c, const char *path, keyfile_each each, void *ctx,
                 struct keyfile_error *ret_error)
{
	struct reading r = {c, each, ctx, ret_error, 0, 0};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	u32 bytes = 0;
	char *text;
	int err;

	if (fd < 0)
		return fail(ret_error, 0, -errno,
		            "The key file cannot be opened: it is not there, a link, or not ours.");
	err = check_file(fd, ret_error, &bytes);
	if (err || !bytes) {
		close(fd);
		return err;
	}
	text = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (text == MAP_FAILED) {
		close(fd);
		return fail(ret_error, 0, -ENOMEM, "There is no memory for the key file.");
	}
	(void)mlock(text, bytes);
	(void)madvise(text, bytes, MADV_DONTDUMP);
	err = read_all(fd, text, bytes, ret_error);
	if (!err)
		err = add_all(&r, text, bytes);
	explicit_bzero(text, bytes);
	munmap(text, bytes);
	close(fd);
	return err;
}
