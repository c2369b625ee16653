// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The same for many sockets of the calling process in one system call, by descriptor. No lock is
 * taken: what is read of a socket that is in use may not fit together.
 */
#include "bpf/readsock.h"

extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;

#define FILE_TYPE   0170000 /* S_IFMT */
#define FILE_SOCKET 0140000 /* S_IFSOCK */
#define NO_FILE     9       /* EBADF */
#define NO_SOCKET   88      /* ENOTSOCK */

struct export_batch batch;

static __always_inline struct file *file_of(__u32 fd)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct fdtable *table = as_kernel(task, task_struct)->files->fdt;
	void *file = NULL;

	if (fd < table->max_fds)
		bpf_probe_read_kernel(&file, sizeof(file), table->fd + fd);
	return file ? as_kernel(file, file) : NULL;
}

static __always_inline __s32 read_one(__u32 i)
{
	struct file *file = file_of(batch.fd[i]);
	struct socket *socket;

	if (!file)
		return -NO_FILE;
	if ((file->f_inode->i_mode & FILE_TYPE) != FILE_SOCKET || !file->private_data)
		return -NO_SOCKET;
	socket = as_kernel(file->private_data, socket);
	if (!socket->sk)
		return -NO_SOCKET;
	export_read(socket->sk, &batch.sock[i]);
	return 0;
}

/* A function of its own is verified once, not once a turn of the loop. */
__attribute__((noinline)) int export_at(__u32 i)
{
	if (i >= EXPORT_BATCH)
		return 0;
	bpf_rcu_read_lock(); /* the table may be replaced by a larger one */
	batch.err[i] = read_one(i);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
int export_all(void *ctx)
{
	for (__u32 i = 0; i < EXPORT_BATCH; i++) {
		if (i >= batch.n)
			break;
		export_at(i);
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
