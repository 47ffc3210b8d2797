# How another process makes the stores that are tested here.

from tenure.transports.stores import EncryptedStore, FileStore, RedisStore

__all__ = ["encrypted_file_store", "encrypted_redis_store", "file_store", "redis_store"]


def file_store(directory: str) -> FileStore:
    return FileStore(directory)


def redis_store(url: str) -> RedisStore:
    return RedisStore.from_url(url, timeout=20)


def encrypted_file_store(directory: str, *keys: str) -> EncryptedStore:
    return EncryptedStore(FileStore(directory), keys)


def encrypted_redis_store(url: str, *keys: str) -> EncryptedStore:
    return EncryptedStore(redis_store(url), keys)
