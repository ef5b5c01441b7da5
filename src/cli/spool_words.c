/* The reader says some things by numbers of errors that strerror(3) has other words for. */
#include "cli/spool_words.h"

#include <errno.h>
#include <string.h>

const char *spool_words(int error)
{
	switch (error) {
	case -EBADMSG:
		return "it is damaged";
	case -ENOMSG:
		return "it is not an index of weir";
	case -EPROTO:
		return "it was written by another version of weir";
	case -ELOOP:
		return "it is a symbolic link";
	default:
		return strerror(-error);
	}
}
