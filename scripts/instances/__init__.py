"""Operations on an instance: create, destroy, status and recovery."""
