# The bash hook of eksd.
