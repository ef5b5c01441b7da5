/*
 * "next ", twenty digits, a newline. There is no checksum: whoever writes it pays one pwrite(2) for
 * each segment, and a number that is wrong does no harm while there are segments. So of a damaged
 * note, what is left of the number is better than none.
 */
#include "spool/note.h"

#include "base/io.h"
#include "base/macro.h"
#include "spool/format.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define WORD "next "
#define WORD_SIZE (sizeof(WORD) - 1)
#define DIGITS (NOTE_SIZE - WORD_SIZE - 1)

/* `size` bytes are there, and a NUL behind them. */
static enum note_kind kind_of(const char *text, size_t size)
{
	bool word = strncmp(text, WORD, MIN(size, WORD_SIZE)) == 0;
	bool number = size == NOTE_SIZE && strspn(text + WORD_SIZE, "0123456789") == DIGITS;

	if (*text == '\0')
		return NOTE_NONE;
	if (word && number && text[NOTE_SIZE - 1] == '\n')
		return NOTE_WHOLE;
	return word || number ? NOTE_DAMAGED : NOTE_FOREIGN;
}

int note_read(int lock_fd, struct note *ret_note)
{
	char text[NOTE_SIZE + 1] = "";
	ssize_t n = io_pread_all(lock_fd, text, NOTE_SIZE, 0);
	struct note note = {0};

	if (n < 0)
		return (int)n;
	note.kind = kind_of(text, (size_t)n);
	if (note.kind > NOTE_FOREIGN && (size_t)n > WORD_SIZE)
		note.next_seq = strtoull(text + WORD_SIZE, NULL, 10);
	*ret_note = note;
	return 0;
}

int note_write(int lock_fd, uint64_t next_seq)
{
	char text[NOTE_SIZE + 1];

	snprintf(text, sizeof(text), WORD "%020" PRIu64 "\n", next_seq);
	return io_pwrite_all(lock_fd, text, NOTE_SIZE, 0);
}

int note_look(int dir_fd, struct note *ret_note)
{
	CLEANUP_FD int fd =
		openat(dir_fd, FORMAT_LOCK_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat status;

	if (fd < 0)
		return errno == ELOOP ? -EMEDIUMTYPE : -errno;
	if (fstat(fd, &status) < 0)
		return -errno;
	return S_ISREG(status.st_mode) ? note_read(fd, ret_note) : -EMEDIUMTYPE;
}
