/* One line that nobody else is to see: a password, a token. */
#ifndef WEIR_BASE_SECRET_H
#define WEIR_BASE_SECRET_H

#include "base/macro.h"

#define SECRET_MAX KIB(64)

/* Its memory is wiped before it is freed. {0} is none. */
struct secret {
	char *text; /* ends with a NUL, which does not count */
	size_t size;
};

/* All three take one line of 1 to SECRET_MAX bytes; the line ending behind it, if there is one, is
 * no part of it. Errors: −ENODATA (empty), −EFBIG (longer than that), −EBADMSG (more than one line,
 * or a NUL), −ENOMEM. */
int secret_from_bytes(const void *data, size_t size, struct secret *ret_secret);

/* Also those of openat(2) and read(2). The file may be a pipe; it is read to its end. Whether
 * others may read it as well is not looked at: who made the file decides who else is to know. */
int secret_read_file(int dir_fd, const char *path, struct secret *ret_secret);

/* Also −ENOKEY (there is no such variable). */
int secret_read_env(const char *name, struct secret *ret_secret);

void secret_done(struct secret *secret);

#define SECRET_TEXT_SIZE 128

/* What is wrong, to stand behind the name of the file or variable. Returns `text`. */
const char *secret_error_text(int error, char text[SECRET_TEXT_SIZE]);

static inline void secret_donep(struct secret *secret)
{
	secret_done(secret);
}

#endif
